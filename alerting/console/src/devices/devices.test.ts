import { expect, test } from "vitest";

import type { Device } from "../api/types";
import { translator } from "../i18n/translate";
import { causeOf, inOrder, merged } from "./devices";

const device = (id: string, state: string): Device => ({ id, state }) as Device;
const shown = (devices: readonly Device[]) => devices.map(({ id, state }) => `${id}:${state}`).join(" ");

test("devices_with_trouble_come_first_then_by_id_as_people_count", () => {
  const devices = [device("cam-10", "live"), device("cam-2", "live"), device("cam-3", "stalled")];
  expect(shown(inOrder(devices))).toBe("cam-3:stalled cam-2:live cam-10:live");
});

test("change_replaces_its_device_and_a_new_one_is_added", () => {
  const devices = inOrder([device("a", "live"), device("b", "live")]);
  expect(shown(merged(devices, device("b", "stalled")))).toBe("b:stalled a:live");
  expect(shown(merged(devices, device("c", "live")))).toBe("a:live b:live c:live");
});

test.each([
  [null, null, null],
  ["no picture for 10 s", null, "no picture for 10 s"],
  ["suspended: the proof of its sign is over", "signage_lapsed", "The proof of its sign is over: look at the sign, then renew until when it holds"],
  ["suspended: as a later version says it", "reason_of_later", "suspended: as a later version says it"],
  [null, "reason_of_later", "reason_of_later"],
])("cause_%s_with_suspension_%s_is_shown_as_%s", (cause, suspended, expected) => {
  expect(causeOf({ cause, suspended } as Device, translator("en"))).toBe(expected);
});
