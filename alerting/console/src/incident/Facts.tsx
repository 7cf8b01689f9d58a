// What is known of an incident: where, by which device and rule, since when; and the values that made it fire.
import type { ReactNode } from "react";

import type { Incident, IncidentSummary, Value } from "../api/types";
import { useLanguage } from "../i18n/language";
import { dateTime } from "../i18n/time";

export function Facts({ incident }: { incident: Incident }) {
  const { t, term, pick } = useLanguage();
  const facts: [string, ReactNode][] = [
    [t("incident.place"), incident.place ?? "—"],
    [t("incident.device"), incident.device === null ? term("entry", incident.entry) : pick(incident.device.name)],
    [t("incident.code"), incident.code ?? "—"],
    [t("incident.grid"), incident.grid ?? "—"],
    [t("incident.opened"), dateTime(incident.opened_at)],
    [t("incident.updated"), dateTime(incident.updated_at)],
    [t("incident.rule"), incident.rule === null ? "—" : t("incident.rule_version", { id: incident.rule.id, version: incident.rule.version })],
    [t("incident.attempts"), incident.attempts],
    [t("incident.id"), <code key="id">{incident.id}</code>],
  ];
  return (
    <dl className="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Values({ values }: { values: readonly Value[] }) {
  const { t, term } = useLanguage();
  if (values.length === 0) return <p className="quiet">{t("incident.values_empty")}</p>;
  return (
    <ul className="values">
      {values.map(({ name, value, unit }) => (
        <li key={name}>
          <span className="value-name">{term("value", name)}</span>
          <span className="value-number">
            {value}
            {unit != null && <small> {unit}</small>}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Category, urgency and state: the same head over the preview and the page. */
export function Head({ incident }: { incident: IncidentSummary }) {
  const { t, term, pick } = useLanguage();
  return (
    <div className="incident-head">
      <UrgencyMark urgency={incident.urgency} />
      <h2>{term("category", incident.category)}</h2>
      <StateTag state={incident.state} />
      {incident.supervised && <span className="state state-supervised">{t("incident.supervised")}</span>}
      <p>{pick(incident.summary)}</p>
    </div>
  );
}

export function UrgencyMark({ urgency }: { urgency: IncidentSummary["urgency"] }) {
  const { t } = useLanguage();
  return <span className={`urgency urgency-${urgency}`}>{t(`urgency.${urgency}`)}</span>;
}

export function StateTag({ state }: { state: string }) {
  const { term } = useLanguage();
  return <span className={`state state-${state}`}>{term("state", state)}</span>;
}
