import { expect, test } from "vitest";

import { lastMonth, lastWeek, thisMonth, thisWeek } from "./periods";

test.each([
  ["2026-11-27T07:00:00Z", "2026-W48", "2026-W47", "2026-11", "2026-10"],
  ["2026-12-31T15:59:00Z", "2026-W53", "2026-W52", "2026-12", "2026-11"],
  ["2026-12-31T16:00:00Z", "2026-W53", "2026-W52", "2027-01", "2026-12"],
  ["2027-01-03T16:00:00Z", "2027-W01", "2026-W53", "2027-01", "2026-12"],
  ["2026-03-30T16:00:00Z", "2026-W14", "2026-W13", "2026-03", "2026-02"],
])("at %s", (now, week, weekBefore, month, monthBefore) => {
  const at = new Date(now);
  expect([thisWeek(at), lastWeek(at), thisMonth(at), lastMonth(at)]).toEqual([week, weekBefore, month, monthBefore]);
});
