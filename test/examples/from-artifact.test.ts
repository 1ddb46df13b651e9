/** The examples that need ONNX Runtime alone: they compute what our own trainer does, for every kind of state. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { InputPort } from "../../src/artifact/manifest.ts";
import { compile } from "../../src/compile/api.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import type { Batch, Field } from "../../src/data/batch.ts";
import { adamw, causalLM, lora, seqCls } from "../../src/generated/methods.ts";
import { readModel } from "../../src/onnx/read.ts";
import { Trainer } from "../../src/runtime/trainer.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { runExample } from "./run-example.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-examples-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A Python that has onnxruntime: `PEFT_PYTHON`, else `python3`. */
const python = process.env.PEFT_PYTHON ?? "python3";
const hasRuntime = spawnSync(python, ["-c", "import onnxruntime, numpy"]).status === 0;

const steps = 4;
const optimizer = adamw({ lr: 5e-3 });
const requests: Readonly<Record<string, { model: string; request: CompileRequest }>> = {
  "a causal language model": {
    model: "fixtures/models/stories260k/model.onnx",
    request: { method: lora({ r: 4 }), task: causalLM(), optimizer },
  },
  "a classifier with a head trained whole": {
    model: join(oracleRoot, "models/bert/model.onnx"),
    request: { method: lora({ targetModules: ["query"] }), task: seqCls(), optimizer },
  },
  "images, in fp16 with its loss scale": {
    model: join(oracleRoot, "models/vit/model.onnx"),
    request: { method: lora({ targetModules: "all-linear" }), optimizer, precision: "fp16" },
  },
};

describe.each(Object.entries(requests))(
  "trained from the artifact alone: %s",
  (title, { model, request }) => {
    const artifact = join(folder, title.replaceAll(/\W+/g, "-"));
    let losses: number[] = [];

    it("gives the losses of the trainer, which fall", { timeout: 120_000 }, async () => {
      await compile(readModel(model), request).write(artifact);
      losses = printedLosses(runExample("train-from-artifact.mjs", [artifact, String(steps)]));
      expect(losses).toHaveLength(steps);
      expect(losses.at(-1)).toBeLessThan(losses[0] ?? Number.NaN);
      const trainer = await Trainer.open(artifact, { threads: 1 });
      const batch = madeUpBatch(trainer);
      for (const loss of losses) expect(Math.abs((await trainer.step(batch)).loss - loss)).toBeLessThan(2e-4);
      await trainer.close();
    });

    it.skipIf(!hasRuntime)("gives the same in Python", () => {
      const found = printedLosses(runExample("train_from_artifact.py", [artifact, String(steps)], python));
      expect(found).toHaveLength(steps);
      for (const [i, loss] of losses.entries()) {
        expect(Math.abs((found[i] ?? Number.NaN) - loss)).toBeLessThan(2e-4);
      }
    });
  },
);

it.each(["train-from-artifact.mjs", "train_from_artifact.py"])("%s imports nothing of ours", (name) => {
  const text = readFileSync(new URL(`../../examples/${name}`, import.meta.url), "utf8");
  const imported = [...text.matchAll(/^(?:import (?:.* from "(.+)"|(\w+).*)|from (\w+) import .*);?$/gm)];
  const modules = imported.map(([, quoted, plain, from]) => quoted ?? plain ?? from);
  const allowed = name.endsWith(".py")
    ? ["json", "sys", "pathlib", "numpy", "onnxruntime"]
    : ["node:fs", "node:path", "onnxruntime-node"];
  expect(modules).toEqual(allowed);
});

function printedLosses(text: string): number[] {
  return [...text.matchAll(/^step \d+ loss (\S+)$/gm)].map(([, loss]) => Number(loss));
}

/** The batch that the examples make up, computed here from what they say of it. */
function madeUpBatch(trainer: Trainer): Batch {
  const ports = trainer.artifact.graph("train").inputs;
  const given = ports.filter(({ role }) => role === "batch" || role === "label");
  return Object.fromEntries(given.map((port) => [port.field ?? port.name, madeUpField(port)]));
}

function madeUpField({ role, dtype, shape, below }: InputPort): Field {
  const sizes = shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 2 : 16));
  const length = sizes.reduce((product, size) => product * size, 1);
  if (dtype === "float32") {
    return { dtype, shape: sizes, data: Float32Array.from({ length }, (_, i) => (i % 7) / 7) };
  }
  const limit = role === "label" ? 2 : below;
  const data = BigInt64Array.from({ length }, (_, i) => (limit === undefined ? 1n : BigInt((7 * i) % limit)));
  return { dtype: "int64", shape: sizes, data };
}
