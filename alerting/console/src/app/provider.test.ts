import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { OFFERED, providerUrl } from "./provider";

test.each([
  ["/", "/sign-in/oidc?to=%2F"],
  ["/incidents/1?tab=events&x=1", "/sign-in/oidc?to=%2Fincidents%2F1%3Ftab%3Devents%26x%3D1"],
])("whoever_signs_in_at_%s_begins_at_%s", (path, expected) => {
  expect(providerUrl(path)).toBe(expected);
});

test("page_looks_for_what_the_server_writes_into_it", () => {
  const server = readFileSync(new URL("../../../src/api/assets.rs", import.meta.url), "utf8");
  const [, name, content] = /<meta name="([^"]+)" content="([^"]+)">"#;/.exec(server) ?? [];
  expect(OFFERED).toBe(`meta[name="${String(name)}"][content="${String(content)}"]`);
});

test("page_offers_nothing_until_the_server_says_so_and_has_the_place_for_it", () => {
  const page = readFileSync(new URL("../../index.html", import.meta.url), "utf8");
  expect(page).not.toContain("xueliang-sign-in");
  expect(page.split("</head>")).toHaveLength(2);
});
