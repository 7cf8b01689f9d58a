import { expect, test } from "vitest";

import { dutyKey } from "./keys";

const press = { key: "c", modified: false, focused: "LI", inDialog: false };

test.each([
  [{}, "confirm"],
  [{ key: "C" }, "confirm"],
  [{ key: "Enter" }, "open"],
  [{ key: "Enter", focused: "BUTTON" }, null],
  [{ modified: true }, null],
  [{ focused: "INPUT" }, null],
  [{ inDialog: true }, null],
  [{ key: "z" }, null],
])("%o_means_%s", (change, meaning) => expect(dutyKey({ ...press, ...change })).toBe(meaning));
