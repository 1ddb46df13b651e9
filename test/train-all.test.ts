/** Every model file there is: adapters on all linear modules train three steps, and the gradient is the loss's own. */
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { compileGraphs } from "../src/compile/compile.ts";
import { readModel } from "../src/onnx/read.ts";
import { oracleRoot } from "./oracle/oracle-set.ts";
import { randomBatch } from "./oracle/random-batch.ts";
import { checkDirection, evalLoss, threeSteps } from "./oracle/three-steps.ts";

const modelRoot = resolve(process.env.PEFT_MODELS ?? "fixtures/models");

/** Every .onnx file below a folder. */
function modelFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".onnx"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const files = [...modelFiles(join(oracleRoot, "models")), ...modelFiles(modelRoot)];

describe("train all", () => {
  it.each(files.map((file) => ({ title: file.split("/").slice(-2).join("/"), file })))(
    "$title",
    async ({ file }) => {
      const compiled = compileGraphs(readModel(file), {
        method: { name: "lora", options: { target_modules: "all-linear" } },
        optimizer: { name: "adamw", options: { lr: 1e-3 } },
        task: "auto",
      });
      const batch = randomBatch(compiled.graphs.train.graph, { batch: 2, seq: 7, seed: 1 });
      const first = await evalLoss(compiled, batch);
      const { losses, before, after } = await threeSteps(compiled, batch);
      for (const loss of losses) expect(Number.isFinite(loss)).toBe(true);
      expect(Math.abs((losses[0] ?? Number.NaN) - first)).toBeLessThanOrEqual(
        1e-5 * Math.max(1, Math.abs(first)),
      );
      for (const [key, array] of before) {
        // The factor that starts at zero: B, or A of an embedding.
        const startsAtZero = array.numbers.every((value) => value === 0);
        if (startsAtZero)
          expect(
            after.get(key)?.numbers.some((value) => value !== 0),
            key,
          ).toBe(true);
      }
      await checkDirection(compiled, batch);
    },
  );
});
