// Which event and which image of an incident are on the screen. Pure.
import type { EventRow, Incident, Snapshot } from "../api/types";

export interface Shown {
  event: EventRow | null;
  snapshot: Snapshot | null;
}

/** The chosen event with its own image or, when it has none or nothing is chosen, the incident's. A box is only drawn on its own image. */
export function shownOf(incident: Incident, chosen: string | null): Shown {
  const event = incident.events.find(({ id }) => id === chosen) ?? null;
  if (event?.snapshot != null) return { event, snapshot: event.snapshot };
  const snapshot = incident.snapshot ?? null;
  const ofImage = incident.events.find((candidate) => snapshot !== null && candidate.snapshot?.sha256 === snapshot.sha256);
  return { event: ofImage ?? null, snapshot };
}
