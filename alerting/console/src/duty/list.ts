// The duty list as a value. What one is reading never moves: while `reading`, new incidents wait, and rows that no longer
// match the filter stay where they are; `settle` lets both happen. Pure: list and change in, list out.
import { SUSPECTED, type IncidentSummary } from "../api/types";
import { matches, type Filter } from "./filters";

export interface DutyList {
  filter: Filter;
  shown: readonly IncidentSummary[];
  /** Arrived while somebody was reading; shown when they ask. */
  waiting: readonly IncidentSummary[];
}

export function emptyList(filter: Filter): DutyList {
  return { filter, shown: [], waiting: [] };
}

/** One incident appeared or changed. */
export function changed(list: DutyList, incident: IncidentSummary, reading: boolean): DutyList {
  if (list.shown.some(({ id }) => id === incident.id)) {
    const shown = list.shown.map((row) => newer(row, incident));
    return reading ? { ...list, shown } : settle({ ...list, shown });
  }
  const known = list.waiting.find(({ id }) => id === incident.id);
  const latest = known === undefined ? incident : newer(known, incident);
  const others = list.waiting.filter(({ id }) => id !== incident.id);
  if (!matches(list.filter, latest.state)) return known === undefined ? list : { ...list, waiting: others };
  const grown = { ...list, waiting: [latest, ...others] };
  return reading ? grown : settle(grown);
}

/** The server's newest page, after a start or a gap. What it lacks is no longer there, unless it is older than the page reaches. */
export function reloaded(list: DutyList, page: readonly IncidentSummary[], reading: boolean): DutyList {
  if (!reading) return settle({ ...list, shown: page, waiting: [] });
  return page.reduce((so_far, incident) => changed(so_far, incident, true), list);
}

/** Older incidents, asked for at the end of the list. */
export function extended(list: DutyList, page: readonly IncidentSummary[]): DutyList {
  const known = new Set([...list.shown, ...list.waiting].map(({ id }) => id));
  return { ...list, shown: [...list.shown, ...page.filter(({ id }) => !known.has(id))] };
}

/** Lets everything take its place: waiting rows come in, rows that left the filter go. */
export function settle(list: DutyList): DutyList {
  const all = [...list.waiting, ...list.shown].filter(({ state }) => matches(list.filter, state));
  return { ...list, shown: all.sort(byDuty), waiting: [] };
}

/** Takes out the row one has just handled; the others keep their order. */
export function handled(list: DutyList, incident: IncidentSummary): DutyList {
  if (matches(list.filter, incident.state)) return changed(list, incident, true);
  return { ...list, shown: list.shown.filter(({ id }) => id !== incident.id) };
}

/** The row `step` away from the selected one; the ends hold, and without a selection the first. */
export function neighbour(list: DutyList, selected: string | null, step: number): string | null {
  const at = list.shown.findIndex(({ id }) => id === selected);
  const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), list.shown.length - 1);
  return list.shown[next]?.id ?? null;
}

/** Which row to select when `id` leaves the list: the one that takes its place, or the last. */
export function successor(list: DutyList, id: string): string | null {
  const at = list.shown.findIndex((row) => row.id === id);
  return (list.shown[at + 1] ?? list.shown[at - 1])?.id ?? null;
}

function newer(row: IncidentSummary, incident: IncidentSummary): IncidentSummary {
  return row.id === incident.id && incident.version >= row.version ? incident : row;
}

/** Suspected ones first, then the newest. */
function byDuty(a: IncidentSummary, b: IncidentSummary): number {
  const open = Number(b.state === SUSPECTED) - Number(a.state === SUSPECTED);
  return open !== 0 ? open : Date.parse(b.opened_at) - Date.parse(a.opened_at);
}
