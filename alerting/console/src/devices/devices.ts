// The device table as a value: one row a device, those with trouble first. Pure.
import type { Device } from "../api/types";

export function merged(devices: readonly Device[], changed: Device): Device[] {
  return inOrder([...devices.filter(({ id }) => id !== changed.id), changed]);
}

export function inOrder(devices: readonly Device[]): Device[] {
  return [...devices].sort((a, b) => Number(isWell(a)) - Number(isWell(b)) || a.id.localeCompare(b.id, "en", { numeric: true }));
}

export function isWell({ state }: Device): boolean {
  return state === "live";
}
