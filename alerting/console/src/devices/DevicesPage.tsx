// Cameras and sensors with their state, why and since when; changes come by the stream.
import { Table, type TableColumnsType } from "antd";
import { useEffect, useState } from "react";

import { ask, askedBy, client } from "../api/client";
import { asFailure, type Failure } from "../api/problem";
import type { Device } from "../api/types";
import { useLive } from "../app/live";
import { useNow } from "../app/media";
import { FailureNotice, Loading, Notice } from "../app/states";
import { useRounds } from "../app/useRounds";
import { useLanguage } from "../i18n/language";
import { dateTime, timeAgo } from "../i18n/time";
import type { Translator } from "../i18n/translate";
import { causeOf, inOrder, isWell, merged } from "./devices";
import { Statics } from "./Statics";
import "./devices.css";

export default function DevicesPage() {
  const language = useLanguage();
  const { t } = language;
  const { devices, failure, reload } = useDevices();
  const now = useNow();
  if (devices === null) return failure === null ? <Loading /> : <FailureNotice failure={failure} retry={reload} />;
  if (devices.length === 0) return <Notice icon="empty" title={t("devices.empty")} hint={t("devices.empty_hint")} />;
  const bad = devices.filter((device) => !isWell(device)).length;
  return (
    <div className="devices">
      <header className="devices-head">
        <h1>{t("devices.title")}</h1>
        <p className="quiet">{t("devices.count", { n: devices.length, bad })}</p>
      </header>
      <Table<Device>
        rowKey="id"
        size="small"
        dataSource={devices}
        columns={columns(language, now)}
        pagination={{ pageSize: 50, hideOnSinglePage: true, showSizeChanger: false }}
        scroll={{ x: "max-content" }}
        onRow={({ id }) => ({ "data-device": id }) as object}
      />
      <Statics />
    </div>
  );
}

function columns(language: Translator, now: number): TableColumnsType<Device> {
  const { t, term } = language;
  return [
    {
      title: t("devices.state"),
      dataIndex: "state",
      render: (_, device) => <span className={`device-state ${isWell(device) ? "well" : "unwell"}`}>{term("devices.state", device.state)}</span>,
    },
    {
      title: t("devices.name"),
      dataIndex: "name",
      render: (_, device) => (
        <>
          <strong>{language.pick(device.name)}</strong> <code className="quiet">{device.id}</code>
        </>
      ),
    },
    { title: t("devices.kind"), dataIndex: "kind", render: (kind: string) => term("devices.kind", kind) },
    { title: t("devices.cause"), dataIndex: "cause", render: (cause: string | null, device) => <span title={cause ?? undefined}>{causeOf(device, language) ?? "—"}</span> },
    {
      title: t("devices.since"),
      dataIndex: "since",
      render: (since: string) => <time title={dateTime(since)}>{timeAgo(since, now, language)}</time>,
    },
    {
      title: t("devices.last_seen"),
      dataIndex: "last_seen",
      render: (seen: string | null) => (seen === null ? "—" : <time title={dateTime(seen)}>{timeAgo(seen, now, language)}</time>),
    },
    { title: t("devices.grid"), dataIndex: "grid", render: (grid: string | null) => grid ?? "—" },
  ];
}

function useDevices() {
  const { subscribe } = useLive();
  const { round, reload } = useRounds("devices");
  const [devices, setDevices] = useState<Device[] | null>(null);
  const [failure, setFailure] = useState<Failure | null>(null);

  useEffect(() => {
    let current = true;
    ask(client.GET("/api/v1/devices", askedBy(round))).then(
      ({ items }) => {
        if (!current) return;
        setDevices(inOrder(items));
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

  useEffect(
    () =>
      subscribe((change) => {
        if (change.kind === "device") setDevices((before) => (before === null ? before : merged(before, change.device)));
      }),
    [subscribe],
  );

  return { devices, failure, reload };
}
