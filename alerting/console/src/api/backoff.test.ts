import { expect, test } from "vitest";

import { backoffMs } from "./backoff";

test("wait_doubles_within_bounds_and_stays_below_the_longest", () => {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    expect(backoffMs(attempt, 0)).toBeGreaterThanOrEqual(250);
    expect(backoffMs(attempt, 0.999)).toBeLessThanOrEqual(15_000);
    expect(backoffMs(attempt + 1, 0)).toBeGreaterThanOrEqual(backoffMs(attempt, 0));
  }
});
