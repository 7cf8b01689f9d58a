import { expect, test } from "vitest";

import { askedBy, client } from "./client";

test.each([
  [true, "1"],
  [false, null],
])("request_that_the_page_makes_by_itself_%s_says_so", async (byItself, expected) => {
  let said: string | null | undefined;
  const fetch = ({ headers }: Request) => {
    said = headers.get("x-xueliang-background");
    return Promise.resolve(Response.json({ items: [] }));
  };
  await client.GET("/api/v1/devices", { ...askedBy({ byItself }), baseUrl: "http://console.example", fetch });
  expect(said).toBe(expected);
});
