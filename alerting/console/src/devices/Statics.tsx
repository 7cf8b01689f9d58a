// What the rules have learnt as static: a parked car, a post that is taken for a person. Not shown while there is none.
import { Table, type TableColumnsType } from "antd";
import { useEffect, useState } from "react";

import { ask, client } from "../api/client";
import type { StaticObject } from "../api/types";
import { useNow } from "../app/media";
import { useLanguage } from "../i18n/language";
import { dateTime, timeAgo } from "../i18n/time";
import type { Translator } from "../i18n/translate";

export function Statics() {
  const language = useLanguage();
  const { t } = language;
  const now = useNow(60_000);
  const [statics, setStatics] = useState<StaticObject[]>([]);
  useEffect(() => {
    let current = true;
    ask(client.GET("/api/v1/statics")).then(
      ({ items }) => {
        if (current) setStatics(items);
      },
      // The page above says what is wrong with the server.
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, []);
  if (statics.length === 0) return null;
  return (
    <section className="statics">
      <h2>{t("statics.title")}</h2>
      <p className="quiet">{t("statics.hint")}</p>
      <Table<StaticObject>
        rowKey={({ device, zone, since }) => `${device}/${zone}/${since}`}
        size="small"
        dataSource={statics}
        columns={columns(language, now)}
        pagination={{ pageSize: 20, hideOnSinglePage: true, showSizeChanger: false }}
      />
    </section>
  );
}

function columns(language: Translator, now: number): TableColumnsType<StaticObject> {
  const { t, term } = language;
  const when = (at: string) => <time title={dateTime(at)}>{timeAgo(at, now, language)}</time>;
  return [
    { title: t("devices.name"), dataIndex: "device" },
    { title: t("statics.zone"), dataIndex: "zone" },
    { title: t("statics.class"), dataIndex: "class", render: (name: string) => term("class", name) },
    { title: t("statics.since"), dataIndex: "since", render: when },
    { title: t("statics.seen"), dataIndex: "seen_at", render: when },
  ];
}
