import { describe, expect, test } from "vitest";

import type { IncidentSummary } from "../api/types";
import { countOf } from "./filters";
import { changed, emptyList, extended, handled, neighbour, reloaded, settle, successor, type DutyList } from "./list";

function incident(id: string, minute: number, state = "suspected", version = 1): IncidentSummary {
  const at = `2026-03-01T10:${String(minute).padStart(2, "0")}:00Z`;
  return { id, state, version, opened_at: at, updated_at: at } as IncidentSummary;
}

const ids = (list: DutyList) => list.shown.map(({ id }) => id).join("");
const waiting = (list: DutyList) => list.waiting.map(({ id }) => id).join("");
const listOf = (...rows: IncidentSummary[]) => reloaded(emptyList("suspected"), rows, false);

describe("new incidents", () => {
  test("come_in_at_their_place_when_nobody_reads", () => {
    const list = changed(listOf(incident("b", 5), incident("a", 3)), incident("c", 9), false);
    expect(ids(changed(list, incident("x", 4), false))).toBe("cbxa");
  });

  test("wait_while_somebody_reads_and_come_in_on_demand", () => {
    const list = changed(listOf(incident("a", 3)), incident("c", 9), true);
    expect([ids(list), waiting(list)]).toEqual(["a", "c"]);
    expect([ids(settle(list)), waiting(settle(list))]).toEqual(["ca", ""]);
  });

  test("that_were_handled_while_waiting_no_longer_wait", () => {
    const list = changed(listOf(), incident("c", 9), true);
    expect(waiting(changed(list, incident("c", 9, "reported", 2), true))).toBe("");
  });

  test("outside_the_filter_are_left_out", () => {
    expect(ids(changed(listOf(), incident("c", 9, "closed"), false))).toBe("");
  });
});

describe("known incidents", () => {
  test("change_in_place_while_somebody_reads_even_when_they_leave_the_filter", () => {
    const list = changed(listOf(incident("b", 5), incident("a", 3)), incident("b", 5, "reported", 2), true);
    expect(ids(list)).toBe("ba");
    expect(list.shown[0]?.state).toBe("reported");
    expect(ids(settle(list))).toBe("a");
  });

  test("leave_at_once_when_nobody_reads", () => {
    expect(ids(changed(listOf(incident("a", 3)), incident("a", 3, "reported", 2), false))).toBe("");
  });

  test("ignore_late_and_repeated_changes", () => {
    const list = listOf(incident("a", 3, "suspected", 5));
    expect(changed(list, incident("a", 3, "reported", 4), true).shown[0]?.version).toBe(5);
    expect(ids(changed(list, incident("a", 3, "suspected", 5), false))).toBe("a");
  });
});

test("reload_while_reading_moves_nothing_and_queues_what_is_new", () => {
  const list = reloaded(listOf(incident("b", 5), incident("a", 3)), [incident("d", 8), incident("b", 5, "suspected", 3)], true);
  expect([ids(list), waiting(list)]).toEqual(["ba", "d"]);
  expect(list.shown[0]?.version).toBe(3);
});

test("older_page_goes_to_the_end_without_repeats", () => {
  expect(ids(extended(listOf(incident("b", 5)), [incident("b", 5), incident("a", 3)]))).toBe("ba");
});

test("handled_incident_leaves_and_its_successor_is_the_next_row", () => {
  const list = listOf(incident("c", 9), incident("b", 5), incident("a", 3));
  expect([successor(list, "b"), successor(list, "a")]).toEqual(["a", "b"]);
  expect(ids(handled(list, incident("b", 5, "reported", 2)))).toBe("ca");
});

test("suspected_come_before_the_rest_in_the_full_list", () => {
  const rows = [incident("r", 9, "reported"), incident("a", 3), incident("b", 5)];
  expect(ids(reloaded(emptyList("all"), rows, false))).toBe("bar");
});

test.each([[null, 1, "c"], ["c", -1, "c"], ["c", 1, "b"], ["a", 1, "a"], ["gone", 1, "c"]])(
  "from_%s_by_%d_is_%s",
  (from, step, to) => expect(neighbour(listOf(incident("c", 9), incident("b", 5), incident("a", 3)), from, step)).toBe(to),
);

test("counts_of_a_group_add_its_states", () => {
  const counts = { suspected: 2, filed: 1, handling: 4, closed: 8 };
  expect([countOf("underway", counts), countOf("all", counts), countOf("reported", counts)]).toEqual([5, 15, 0]);
});

test("any_sequence_while_reading_keeps_shown_rows_in_place", () => {
  let seed = 7;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let round = 0; round < 200; round += 1) {
    let list = listOf(incident("p", 5), incident("q", 3));
    const before = ids(list);
    for (let step = 0; step < 20; step += 1) {
      const state = ["suspected", "reported", "closed"][random(3)] ?? "suspected";
      list = changed(list, incident("pqrstu".charAt(random(6)), random(60), state, random(9)), true);
      expect(ids(list)).toBe(before);
      expect(new Set(list.waiting.map(({ id }) => id)).size).toBe(list.waiting.length);
    }
  }
});
