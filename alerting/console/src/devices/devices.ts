// The device table as a value: one row a device, those with trouble first. Pure.
import type { Device } from "../api/types";
import type { Translator } from "../i18n/translate";

export function merged(devices: readonly Device[], changed: Device): Device[] {
  return inOrder([...devices.filter(({ id }) => id !== changed.id), changed]);
}

export function inOrder(devices: readonly Device[]): Device[] {
  return [...devices].sort((a, b) => Number(isWell(a)) - Number(isWell(b)) || a.id.localeCompare(b.id, "en", { numeric: true }));
}

export function isWell({ state }: Device): boolean {
  return state === "live";
}

/** Why it is so: our own words with the cure where its authorization does not hold, else what its pipeline says. */
export function causeOf({ cause, suspended }: Device, { term }: Pick<Translator, "term">): string | null {
  if (suspended === null) return cause;
  const text = term("devices.suspended", suspended);
  // A reason newer than this console has no text here, but one in the cause.
  return text === suspended ? (cause ?? suspended) : text;
}
