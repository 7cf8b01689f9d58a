// Who did what when, latest last.
import type { FiredRow, TimelineRow } from "../api/types";
import { useNow } from "../app/media";
import { useLanguage } from "../i18n/language";
import type { Translator } from "../i18n/translate";
import { clockTime } from "../i18n/time";
import { StateTag } from "./Facts";

export function Timeline({ rows }: { rows: readonly TimelineRow[] }) {
  const language = useLanguage();
  const { t } = language;
  const now = useNow(60_000);
  return (
    <ol className="timeline">
      {rows.map((row) => (
        <li key={row.seq} data-action={row.action}>
          <time>{clockTime(row.at, now)}</time>
          <div>
            <p>
              {row.from === row.to ? <span className="state">{language.term("action", row.action)}</span> : <StateTag state={row.to} />}
              <strong>{actorName(row, language)}</strong>
            </p>
            {row.fired != null && <Fired fired={row.fired} />}
            {row.reason != null && (
              <p className="quiet">
                {t("incident.reason")}: {language.term("reason", row.reason)}
              </p>
            )}
            {row.comment != null && <p className="quiet">{row.comment}</p>}
          </div>
        </li>
      ))}
    </ol>
  );
}

/** By which version of the rule, where, and what was measured then: the next firing may measure something else. */
function Fired({ fired }: { fired: FiredRow }) {
  const { t, term } = useLanguage();
  const where = [fired.device, fired.place].filter((part) => part !== null).join(" · ");
  const measured = fired.values.map(({ name, value, unit }) => `${term("value", name)} ${Math.round(value * 100) / 100}${unit === null ? "" : ` ${unit}`}`);
  return <p className="quiet">{[t("incident.version", { version: fired.version }), where, ...measured].join(" · ")}</p>;
}

function actorName({ actor }: TimelineRow, { t }: Translator): string {
  switch (actor.kind) {
    case "rule":
      return `${t("incident.by_rule")} ${actor.name}`;
    case "job":
      return `${t("incident.by_job")} ${actor.name}`;
    default:
      return actor.name;
  }
}
