// Browser tests against a running system; the harness names it in XUELIANG_URL, XUELIANG_ACCOUNT and XUELIANG_PASSWORD.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ["*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    bail: 1,
  },
});
