/** How tests run: in forked processes, since onnxruntime-node does not survive the contexts of `vmThreads`. */
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => ({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // `npm run test:all` is `--mode all`: tests too slow for every run ask for this variable.
    env: mode === "all" ? { PEFT_TEST_ALL: "1" } : {},
  },
}));
