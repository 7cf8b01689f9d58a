import { expect, test } from "vitest";

import type { Device } from "../api/types";
import { inOrder, merged } from "./devices";

const device = (id: string, state: string): Device => ({ id, state }) as Device;
const shown = (devices: readonly Device[]) => devices.map(({ id, state }) => `${id}:${state}`).join(" ");

test("devices_with_trouble_come_first_then_by_id_as_people_count", () => {
  const devices = [device("cam-10", "online"), device("cam-2", "online"), device("cam-3", "offline")];
  expect(shown(inOrder(devices))).toBe("cam-3:offline cam-2:online cam-10:online");
});

test("change_replaces_its_device_and_a_new_one_is_added", () => {
  const devices = inOrder([device("a", "online"), device("b", "online")]);
  expect(shown(merged(devices, device("b", "offline")))).toBe("b:offline a:online");
  expect(shown(merged(devices, device("c", "online")))).toBe("a:online b:online c:online");
});
