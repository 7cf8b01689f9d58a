import { expect, test } from "vitest";

import type { Device } from "../api/types";
import { inOrder, merged } from "./devices";

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
