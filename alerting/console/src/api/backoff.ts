// How long to wait before trying again: doubling with jitter, so that many consoles don't return in one instant.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/** The wait before attempt `attempt` (0 = the first retry); `random` is in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(full / 2 + (full / 2) * random);
}
