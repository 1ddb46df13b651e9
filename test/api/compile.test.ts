/** The programmatic API: requests by factories, artifacts in memory and on disk, gradients, pipelines from outside. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { adapters } from "../../passes/adapters/index.ts";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import { definePass, parseModel, printModel, runPipeline } from "../../src/extend.ts";
import * as factories from "../../src/generated/methods.ts";
import {
  adamw,
  compile,
  DiagnosticError,
  gradient,
  lora,
  mse,
  readModel,
  seqCls,
  sgd,
  writeModel,
} from "../../src/index.ts";
import { taskNames } from "../../src/training/tasks.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-api-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, "m.onnx");

const text = `<ir_version: 10, opset_import: ["" : 20]>
f (float[batch,3] x) => (float[batch,2] logits) <
  float[3,4] "up.weight" = {1,2,3,4,5,6,7,8,9,1,2,3},
  float[4,2] "head.weight" = {1,2,3,4,5,6,7,8}
> {
  h = MatMul (x, "up.weight")
  a = Tanh (h)
  logits = MatMul (a, "head.weight")
}
`;
beforeAll(() => writeModel(parseModel(text), file));

describe("factories", () => {
  it("say options under PEFT's names", () => {
    expect(lora({ r: 4, loraAlpha: 8, targetModules: ["up"] })).toEqual({
      name: "lora",
      options: { r: 4, lora_alpha: 8, target_modules: ["up"] },
    });
    expect(adamw({ lr: 1e-3, weightDecay: 0 })).toEqual({
      name: "adamw",
      options: { lr: 1e-3, weight_decay: 0 },
    });
    expect(mse({ labels: "y", logits: "scores" })).toEqual({
      name: "mse",
      options: { labels: "y" },
      logits: "scores",
    });
    expect(seqCls()).toBe("seq-cls");
  });

  it("exist for every record and every task", () => {
    const names = Object.values(factories).map((make) => {
      const made = make();
      return typeof made === "string" ? made : made.name;
    });
    for (const { name } of [...adapters, ...optimizers, ...losses]) expect(names).toContain(name);
    for (const task of taskNames) expect(names).toContain(task);
  });
});

describe("compile", () => {
  it("writes an artifact that says what was asked for", async () => {
    const model = readModel(file);
    const before = printModel(model);
    const artifact = compile(model, { method: lora({ r: 2 }), task: seqCls(), optimizer: sgd({ lr: 0.5 }) });
    expect(artifact.task).toBe("seq-cls");
    expect(artifact.sites).toEqual(["up"]);
    expect(printModel(model)).toBe(before);
    const target = join(folder, "m.peft");
    const manifest = await artifact.write(target);
    expect(manifest).toMatchObject({
      format: "peft-compile/1",
      method: { name: "lora", options: { r: 2, target_modules: "all-linear" } },
      optimizer: { name: "sgd", options: { lr: 0.5 } },
    });
    expect(JSON.parse(readFileSync(join(target, "manifest.json"), "utf8"))).toEqual(
      JSON.parse(JSON.stringify(manifest)),
    );
    for (const { file: graph } of Object.values(manifest.graphs))
      expect(existsSync(join(target, graph))).toBe(true);
  });

  it("refuses unknown settings and options by name", () => {
    const model = readModel(file);
    const refusal = (request: object): unknown => {
      try {
        compile(model, request);
      } catch (error) {
        return error instanceof DiagnosticError ? error.code : error;
      }
      return "accepted";
    };
    expect(refusal({ optimiser: sgd() })).toBe("E_UNKNOWN_OPTION");
    expect(refusal({ method: { name: "lora", options: { rank: 3 } } })).toBe("E_UNKNOWN_OPTION");
    expect(refusal({ method: lora({ r: 0 }) })).toBe("E_BAD_OPTION");
    expect(refusal({ method: { name: "lroa" } })).toBe("E_METHOD_UNKNOWN");
    expect(refusal({ precision: "int8" })).toBe("E_BAD_OPTION");
    expect(refusal({ accumulate: 0 })).toBe("E_BAD_OPTION");
  });
});

describe("gradient", () => {
  it("gives a model and leaves the source alone", () => {
    const model = readModel(file);
    const before = printModel(model);
    const { graph } = gradient(model, { wrt: ["x", "up.weight"] });
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x", "grad.logits"]);
    expect(graph.outputs.map(({ name }) => name)).toEqual(["logits", "grad.x", "grad.up.weight"]);
    expect(printModel(model)).toBe(before);
  });
});

describe("runPipeline", () => {
  it("runs passes of the package and of the caller", () => {
    const mark = definePass({
      name: "mark",
      summary: "Mark the graph",
      options: z.strictObject({ as: z.string().default("marked") }),
      statistics: { graphs: "graphs marked" },
      run: (model, { options, stat }) => {
        model.graph.name = options.as;
        stat("graphs");
        return true;
      },
    });
    const model = parseModel(text);
    const report = runPipeline(model, "dce,mark{as=seen}", { passes: [mark] });
    expect(model.graph.name).toBe("seen");
    expect(report.steps.map(({ pass, changed }) => [pass, changed])).toEqual([
      ["dce", false],
      ["mark", true],
    ]);
  });
});
