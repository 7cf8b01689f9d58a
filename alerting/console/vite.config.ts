// Builds `dist/`, which the alerting crate embeds. Names carry content hashes, so the same source gives the same files.
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const backend = process.env.XUELIANG_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    sourcemap: false,
    chunkSizeWarningLimit: 900,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [{ name: "react", test: /node_modules[\\/](react|react-dom|scheduler)[\\/]/ }],
        },
      },
    },
  },
  server: { proxy: { "/api": backend } },
  test: { include: ["src/**/*.test.ts"] },
});
