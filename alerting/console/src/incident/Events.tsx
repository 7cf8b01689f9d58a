// The events behind an incident, newest first. One with a snapshot can be chosen, which shows it with its box.
import type { EventRow } from "../api/types";
import { useNow } from "../app/media";
import { useLanguage } from "../i18n/language";
import { clockTime } from "../i18n/time";

interface EventsProps {
  events: readonly EventRow[];
  total: number;
  chosen: string | null;
  choose: (id: string) => void;
}

export function Events({ events, total, chosen, choose }: EventsProps) {
  const { t } = useLanguage();
  return (
    <>
      <ol className="events">
        {events.map((event) => (
          <li key={event.id} data-event={event.id} className={event.id === chosen ? "event-chosen" : undefined}>
            <EventLine event={event} chosen={event.id === chosen} choose={choose} />
          </li>
        ))}
      </ol>
      {total > events.length && <p className="quiet">{t("incident.events_limit", { n: events.length, total })}</p>}
    </>
  );
}

function EventLine({ event, chosen, choose }: { event: EventRow; chosen: boolean; choose: (id: string) => void }) {
  const { pick, term } = useLanguage();
  const now = useNow(60_000);
  const content = (
    <>
      <time>{clockTime(event.time, now)}</time>
      <span className="event-text">{pick(event.text)}</span>
      <span className="event-class">{event.class == null ? "" : term("class", event.class)}</span>
    </>
  );
  if (event.snapshot == null) return <div className="event-line">{content}</div>;
  return (
    <button type="button" className="event-line" aria-pressed={chosen} onClick={() => choose(event.id)}>
      {content}
    </button>
  );
}
