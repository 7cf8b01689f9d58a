// The committed types are the ones that the committed OpenAPI document gives; `npm run generate` renews them.
import { readFile } from "node:fs/promises";

import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, test } from "vitest";

test("schema_types_are_current", async () => {
  const document = new URL("../../../openapi.json", import.meta.url);
  const committed = await readFile(new URL("./schema.ts", import.meta.url), "utf8");
  expect(`${COMMENT_HEADER}${astToString(await openapiTS(document))}`).toBe(committed);
});
