// How an incident's clocks stand: the limit, when it is used up, and what was told of it.
import type { Incident } from "../api/types";
import { useNow } from "../app/media";
import { useLanguage } from "../i18n/language";
import { dateTime } from "../i18n/time";

export function Deadlines({ incident }: { incident: Incident }) {
  const { t, term } = useLanguage();
  const now = useNow(60_000);
  if (incident.deadlines.length === 0) return <p className="quiet">{t("deadlines.none")}</p>;
  return (
    <ul className="deadlines">
      {incident.deadlines.map(({ clock, state, limit, due_at: dueAt, told, acknowledged }) => (
        <li key={clock} data-clock={clock} className={dueAt !== null && Date.parse(dueAt) < now ? "overdue" : undefined}>
          <strong>{term("clock", clock)}</strong>
          <span>{limit}</span>
          <span>{term("clock.state", state)}</span>
          <span>{dueAt === null ? "—" : t("deadlines.due", { when: dateTime(dueAt) })}</span>
          {told !== null && (
            <span>
              {term("told", told)}
              {acknowledged && ` · ${t("deadlines.acknowledged")}`}
            </span>
          )}
        </li>
      ))}
    </ul>
  );
}
