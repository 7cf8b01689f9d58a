// The rows of the duty list, as one list box: one focus, one selected row.
import { PictureOutlined } from "@ant-design/icons";
import { memo, useEffect, useRef, useState } from "react";

import { snapshotUrl } from "../api/images";
import { SUSPECTED, type IncidentSummary } from "../api/types";
import { useNow } from "../app/media";
import { useLanguage } from "../i18n/language";
import { clockTime, timeAgo } from "../i18n/time";
import { StateTag, UrgencyMark } from "../incident/Facts";
import { matches } from "./filters";
import type { DutyList } from "./list";

interface IncidentRowsProps {
  list: DutyList;
  selected: string | null;
  select: (id: string) => void;
}

export function IncidentRows({ list, selected, select }: IncidentRowsProps) {
  const { t } = useLanguage();
  const box = useRef<HTMLUListElement>(null);
  useEffect(() => {
    if (selected === null) return;
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  return (
    <ul className="rows" role="listbox" ref={box} tabIndex={0} aria-label={t("duty.list")} aria-activedescendant={selected === null ? undefined : rowId(selected)}>
      {list.shown.map((incident) => (
        <li
          key={incident.id}
          id={rowId(incident.id)}
          role="option"
          aria-selected={incident.id === selected}
          data-incident={incident.id}
          data-state={incident.state}
          data-category={incident.category}
          className={`row row-${incident.urgency}${matches(list.filter, incident.state) ? "" : " row-left"}`}
          onClick={() => select(incident.id)}
        >
          <Row incident={incident} showState={list.filter !== SUSPECTED || incident.state !== SUSPECTED} />
        </li>
      ))}
    </ul>
  );
}

const Row = memo(function Row({ incident, showState }: { incident: IncidentSummary; showState: boolean }) {
  const { t, term, pick } = useLanguage();
  return (
    <>
      <Thumbnail incident={incident} />
      <div className="row-main">
        <p className="row-title">
          <UrgencyMark urgency={incident.urgency} />
          <strong>{term("category", incident.category)}</strong>
          {showState && <StateTag state={incident.state} />}
          {incident.supervised && <span className="state state-supervised">{t("incident.supervised")}</span>}
        </p>
        <p className="row-summary">{pick(incident.summary)}</p>
      </div>
      <div className="row-where">
        <p>{incident.place ?? incident.grid ?? "—"}</p>
        <p className="quiet">{incident.device === null ? term("entry", incident.entry) : pick(incident.device.name)}</p>
      </div>
      <p className="row-count" title={t("duty.events_label", { n: incident.n_events })}>
        {t("duty.events", { n: incident.n_events })}
      </p>
      <Age at={incident.opened_at} />
    </>
  );
});

function Age({ at }: { at: string }) {
  const language = useLanguage();
  const now = useNow();
  return (
    <div className="row-age">
      <p>{timeAgo(at, now, language)}</p>
      <p className="quiet">{clockTime(at, now)}</p>
    </div>
  );
}

function Thumbnail({ incident: { id, snapshot } }: { incident: IncidentSummary }) {
  const { t } = useLanguage();
  const url = snapshot == null ? null : snapshotUrl(id, snapshot.sha256, "duty_list");
  const [broken, setBroken] = useState<string | null>(null);
  if (url === null || broken === url) {
    return (
      <span className="thumbnail thumbnail-none" title={t("duty.no_image")}>
        <PictureOutlined aria-hidden />
      </span>
    );
  }
  return <img className="thumbnail" src={url} alt="" loading="lazy" decoding="async" onError={() => setBroken(url)} />;
}

function rowId(incidentId: string): string {
  return `row-${incidentId}`;
}
