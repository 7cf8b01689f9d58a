import { describe, expect, test } from "vitest";

import type { AllowedCommand, EventRow, Incident, Snapshot } from "../api/types";
import { asksFirst } from "./commands";
import { shownOf } from "./shown";

const still = (sha256: string): Snapshot => ({ sha256, width: 640, height: 480 });
const event = (id: string, snapshot: Snapshot | null): EventRow => ({ id, snapshot }) as EventRow;
const incident = (snapshot: Snapshot | null, ...events: EventRow[]): Incident => ({ snapshot, events }) as Incident;

describe("the image on the screen", () => {
  const one = incident(still("a"), event("late", null), event("other", still("b")), event("first", still("a")));

  test.each([
    [null, "first", "a"],
    ["other", "other", "b"],
    ["late", "first", "a"],
    ["gone", "first", "a"],
  ])("for_event_%s_is_that_of_%s", (chosen, id, sha256) => {
    const shown = shownOf(one, chosen);
    expect([shown.event?.id, shown.snapshot?.sha256]).toEqual([id, sha256]);
  });

  test("carries_no_box_of_another_image", () => {
    expect(shownOf(incident(still("z"), event("other", still("b"))), null).event).toBeNull();
  });

  test("is_absent_without_a_snapshot", () => {
    expect(shownOf(incident(null, event("late", null)), "late")).toEqual({ event: null, snapshot: null });
  });
});

test.each([
  ["report", false, [], false],
  ["report", true, [], true],
  ["file", false, [], true],
  ["report", false, [{ name: "result", required: true }], true],
])("%s_needing_reason_%s_with_fields_%o_asks_first_%s", (command, needs_reason, fields, asks) => {
  expect(asksFirst({ command, needs_reason, fields } as unknown as AllowedCommand)).toBe(asks);
});
