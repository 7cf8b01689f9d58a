// The groups of incident states that the duty list can be narrowed to.
import type { Key } from "../i18n/zh";

export type Filter = "suspected" | "reported" | "underway" | "finished" | "all";

export const FILTERS: readonly Filter[] = ["suspected", "reported", "underway", "finished", "all"];

const STATES: Record<Exclude<Filter, "all">, readonly string[]> = {
  suspected: ["suspected"],
  reported: ["reported", "checking"],
  underway: ["filed", "dispatched", "returned", "arbitration", "handling", "feedback", "verifying", "suspended", "reopened"],
  finished: ["discarded", "void", "closed", "evaluated"],
};

export function matches(filter: Filter, state: string): boolean {
  return filter === "all" || STATES[filter].includes(state);
}

/** The `state` parameter of the incident list; none for all. */
export function stateQuery(filter: Filter): { state?: string } {
  return filter === "all" ? {} : { state: STATES[filter].join(",") };
}

/** How many incidents a group holds, by the server's count of each state. */
export function countOf(filter: Filter, counts: Record<string, number>): number {
  let n = 0;
  for (const [state, count] of Object.entries(counts)) if (matches(filter, state)) n += count;
  return n;
}

export function filterLabel(filter: Filter): Key {
  return `duty.filter.${filter}`;
}
