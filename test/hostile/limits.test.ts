/** No verb takes ten seconds, or more memory than 200 MiB and four times the model, whatever the model is. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { z } from "zod";

const measured = z.object({
  name: z.string(),
  modelBytes: z.number(),
  slowestMs: z.number(),
  grownBytes: z.number(),
});

/** One process for all, so that what one model leaves behind must be collected: its heap is bounded from outside. */
const lines = execFileSync(
  process.execPath,
  ["--max-old-space-size=400", "--import", "tsx", fileURLToPath(new URL("measure.ts", import.meta.url))],
  { encoding: "utf8", maxBuffer: 2 ** 24 },
);

describe("hostile and large models", () => {
  test.each(
    lines
      .trim()
      .split("\n")
      .map((line) => measured.parse(JSON.parse(line))),
  )("$name", ({ modelBytes, slowestMs, grownBytes }) => {
    expect(slowestMs).toBeLessThan(10_000);
    expect(grownBytes).toBeLessThan(200 * 2 ** 20 + 4 * modelBytes);
  });
});
