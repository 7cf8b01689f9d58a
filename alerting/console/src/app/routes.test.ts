import { expect, test } from "vitest";

import { pathOf, routeOf, type Route } from "./routes";

test.each<Route>([{ page: "duty" }, { page: "devices" }, { page: "counts" }, { page: "grants" }, { page: "incident", id: "0191/ü 7" }])(
  "path_of_$page_leads_back_to_it",
  (route) => expect(routeOf(pathOf(route))).toEqual(route),
);

test.each(["/nothing", "/devices/1", "/incidents", "/incidents/a/b", "/incidents/%E0%A4%A"])("%s_is_unknown", (path) =>
  expect(routeOf(path)).toEqual({ page: "unknown" }),
);
