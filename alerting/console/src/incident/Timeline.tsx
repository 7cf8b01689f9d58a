// Who did what when, latest last.
import type { TimelineRow } from "../api/types";
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
