// Which rules, devices and categories raise what people then discard, and the reports of weeks and months.
import { Alert, Table, type TableColumnsType } from "antd";
import { useEffect, useState } from "react";

import { ask, client } from "../api/client";
import { asFailure, type Failure } from "../api/problem";
import type { NuisancePage, NuisanceRow } from "../api/types";
import { FailureNotice, Loading } from "../app/states";
import { useLanguage } from "../i18n/language";
import type { Translator } from "../i18n/translate";
import { lastMonth, lastWeek, thisMonth, thisWeek } from "./periods";
import "../incident/incident.css";
import "./counts.css";

export default function CountsPage() {
  const { t } = useLanguage();
  return (
    <div className="counts">
      <h1>{t("counts.title")}</h1>
      <Reports />
      <Nuisance />
    </div>
  );
}

const FORMATS = ["xlsx", "csv", "json"] as const;

function Reports() {
  const { t, language } = useLanguage();
  const now = new Date();
  const periods = [
    { label: t("counts.this_week"), period: thisWeek(now) },
    { label: t("counts.last_week"), period: lastWeek(now) },
    { label: t("counts.this_month"), period: thisMonth(now) },
    { label: t("counts.last_month"), period: lastMonth(now) },
  ];
  return (
    <section className="panel">
      <h3>{t("counts.reports")}</h3>
      <p className="quiet">{t("counts.reports_hint")}</p>
      <table className="report-links">
        <tbody>
          {periods.map(({ label, period }) => (
            <tr key={period}>
              <th scope="row">
                {label} <code className="quiet">{period}</code>
              </th>
              {(["in_scope", "published"] as const).map((audience) => (
                <td key={audience}>
                  {t(`counts.${audience}`)}{" "}
                  {FORMATS.map((format) => (
                    <a
                      key={format}
                      href={`/api/v1/reports/${period}?format=${format}&audience=${audience}&language=${language}`}
                      download
                      data-report={`${audience}-${format}`}
                    >
                      {format.toUpperCase()}
                    </a>
                  ))}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Nuisance() {
  const language = useLanguage();
  const { t, pick } = language;
  const { page, failure, reload } = useNuisance();
  if (page === null) return failure === null ? <Loading /> : <FailureNotice failure={failure} retry={reload} />;
  const suggested = page.rules.filter(({ suggestion }) => suggestion !== null);
  const tables = [
    { key: "rules", title: t("counts.by_rule"), rows: page.rules },
    { key: "categories", title: t("counts.by_category"), rows: page.categories },
    { key: "devices", title: t("counts.by_device"), rows: page.devices },
  ];
  return (
    <section className="panel">
      <h3>{t("counts.nuisance")}</h3>
      <p className="quiet">{t("counts.nuisance_hint", { days: page.days })}</p>
      {suggested.map(({ key, suggestion }) => (
        <Alert
          key={key}
          type="warning"
          showIcon
          className="suggestion"
          title={t("counts.suggestion", { rule: key, what: suggestion === null ? "" : pick(suggestion) })}
        />
      ))}
      {tables.map(({ key, title, rows }) => (
        <Table<NuisanceRow>
          key={key}
          rowKey="key"
          size="small"
          title={() => title}
          dataSource={rows}
          columns={columns(language)}
          pagination={{ pageSize: 10, hideOnSinglePage: true, showSizeChanger: false }}
          scroll={{ x: "max-content" }}
          locale={{ emptyText: t("counts.empty") }}
          onRow={(row) => ({ "data-nuisance": `${key}/${row.key}` }) as object}
        />
      ))}
    </section>
  );
}

function columns({ t, pick }: Translator): TableColumnsType<NuisanceRow> {
  return [
    { title: t("counts.name"), dataIndex: "name", render: (_, row) => pick(row.name) },
    { title: t("counts.raised"), dataIndex: "n_raised" },
    { title: t("counts.judged"), dataIndex: "n_judged" },
    { title: t("counts.discarded"), dataIndex: "n_discarded" },
    { title: t("counts.rate"), dataIndex: "rate", render: (rate: number) => `${(rate * 100).toFixed(0)}%` },
    { title: t("counts.reason"), dataIndex: "reason", render: (_, { reason }) => (reason === null ? "—" : pick(reason)) },
  ];
}

function useNuisance() {
  const [page, setPage] = useState<NuisancePage | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let current = true;
    ask(client.GET("/api/v1/nuisance")).then(
      (found) => {
        if (!current) return;
        setPage(found);
        setFailure(null);
      },
      (thrown: unknown) => {
        if (current) setFailure(asFailure(thrown));
      },
    );
    return () => {
      current = false;
    };
  }, [round]);
  return { page, failure, reload: () => setRound((before) => before + 1) };
}
