/** What a request leaves open: tasks of all fixtures, the loss that goes with them, heads that are trained whole. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { basePath } from "../../src/adapt/select.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { planTraining, type TrainingPlan } from "../../src/compile/plan.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import { type CompileRequest, compileSchema } from "../../src/compile/request.ts";
import type { Model } from "../../src/ir/model.ts";
import { readModel } from "../../src/onnx/read.ts";
import { parseModel } from "../../src/text/parse.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { modelFile } from "../training/oracle-models.ts";

const models = process.env.PEFT_MODELS ?? "fixtures/models";
const allLinear = { name: "lora", options: { target_modules: "all-linear" } };

function plan(model: Model, request: CompileRequest = {}): TrainingPlan {
  runPasses(model, preparePipeline);
  return planTraining(model, compileSchema.parse({ method: allLinear, ...request }));
}

const oracle = (model: string, file: string): string => join(oracleRoot, "models", model, file);
const exported = ["model.onnx", "model-dynamo.onnx", "model-unfolded.onnx"];
const tasks = {
  llama: "causal-lm",
  gpt2: "causal-lm",
  bert: "seq-cls",
  t5: "seq2seq-lm",
  vit: "image-cls",
  smallconv: "image-cls",
} as const;
const fixtures = [
  ...Object.entries(tasks).flatMap(([model, task]) =>
    exported.map((file) => ({ title: `${model}/${file}`, file: oracle(model, file), task })),
  ),
  ...["model.onnx", "model-dynamo.onnx"].map((name) => ({
    title: `stories260k/${name}`,
    file: join(models, "stories260k", name),
    task: "causal-lm",
  })),
].filter(({ file }) => existsSync(file));

describe("the task", () => {
  it.each(fixtures)("of $title is $task", ({ file, task }) => {
    const found = plan(readModel(file));
    expect(found.task).toBe(task);
    expect(found.reason).toMatch(/^its? /);
    expect(found.loss.name).toBe("cross-entropy");
    expect(found.loss.options.shift === true).toBe(task === "causal-lm");
  });

  const columns = (name: string, shape: string, inputs = "float[n,4] x"): string =>
    `f (${inputs}) => (float[${shape}] ${name}) <float[4,3] "fc.weight" = {1,2,3,4,5,6,7,8,9,1,2,3}> {
      ${name} = MatMul (x, "fc.weight")
    }`;

  it.each([
    ["scores by row", columns("logits", "n,3"), "seq-cls", "cross-entropy"],
    [
      "one number by row",
      columns("logits", "n,1")
        .replace("[4,3]", "[4,1]")
        .replace(/\{1.*3\}/, "{1,2,3,4}"),
      "regression",
      "mse",
    ],
    ["vectors", columns("hidden_state", "n,3"), "feature", "mse"],
    [
      "scores by position",
      columns("logits", "n,s,3", "float[n,s,4] x, int64[n,s] input_ids"),
      "token-cls",
      "cross-entropy",
    ],
    ["scores by position of other inputs", columns("logits", "n,s,3", "float[n,s,4] x"), "feature", "mse"],
  ])("of %s", (_, text, task, loss) => {
    const found = plan(parseModel(text));
    expect([found.task, found.loss.name]).toEqual([task, loss]);
  });

  it("is what the user says, without a reason", () => {
    const found = plan(readModel(modelFile("bert")), { task: "multi-label" });
    expect(found).toMatchObject({ task: "multi-label", reason: undefined, loss: { name: "bce" } });
  });

  it("leaves the loss of the model where it has one", () => {
    const text = `f (float[n,4] x) => (float[n,3] logits, float loss) <float[4,3] "fc.weight" = {1,2,3,4,5,6,7,8,9,1,2,3}> {
      logits = MatMul (x, "fc.weight")
      loss = ReduceMean <keepdims = 0> (logits)
    }`;
    expect(plan(parseModel(text)).loss).toEqual({ name: "existing", options: {}, logits: "loss" });
    expect(plan(parseModel(text), { task: "seq-cls" }).loss.name).toBe("cross-entropy");
  });
});

describe("the loss", () => {
  it("that a user names keeps what the task adds where it is the task's own", () => {
    const loss = { name: "cross-entropy", options: { label_smoothing: 0.1 } };
    expect(plan(readModel(modelFile("llama")), { loss }).loss.options).toEqual({
      shift: true,
      label_smoothing: 0.1,
    });
    expect(plan(readModel(modelFile("bert")), { loss }).loss.options).toEqual({ label_smoothing: 0.1 });
    const other = { name: "mse", options: {}, logits: "logits" };
    expect(plan(readModel(modelFile("llama")), { loss: other }).loss).toEqual(other);
  });
});

describe("modules trained whole", () => {
  const saved = (
    model: string,
    request: CompileRequest = {},
  ): { saved: readonly string[]; sites: string[] } => {
    const found = plan(readModel(modelFile(model)), request);
    return { saved: found.saved, sites: found.sites.map(basePath) };
  };

  it("are the head's names of PEFT for sequence and token classification", () => {
    const found = saved("bert");
    expect(found.saved).toEqual(["classifier", "score"]);
    expect(found.sites).not.toContain("classifier");
    expect(found.sites.length).toBeGreaterThan(5);
    expect(saved("bert", { task: "regression" }).saved).toEqual(["classifier", "score"]);
    expect(saved("bert", { task: "multi-label" }).saved).toEqual(["classifier", "score"]);
  });

  it("are the head under its own name where PEFT's do not fit", () => {
    expect(saved("gpt2", { task: "token-cls" }).saved).toEqual(["lm_head"]);
  });

  it("are none for tasks whose head PEFT leaves alone", () => {
    for (const model of ["llama", "t5", "vit", "smallconv"]) expect(saved(model).saved).toEqual([]);
  });

  it("are none where the user asks for none", () => {
    const found = saved("bert", { modulesToSave: [] });
    expect(found.saved).toEqual([]);
    // all-linear leaves the head alone all the same.
    expect(found.sites).not.toContain("classifier");
    const named = saved("bert", {
      modulesToSave: [],
      method: { name: "lora", options: { target_modules: ["classifier"] } },
    });
    expect(named).toEqual({ saved: [], sites: ["classifier"] });
  });

  it("are none where the user asks for none beside options that name some", () => {
    const method = { name: "lora", options: { target_modules: "all-linear", modules_to_save: ["pooler"] } };
    expect(saved("bert", { method }).saved).toEqual(["pooler"]);
    expect(saved("bert", { method, modulesToSave: ["classifier"] }).saved).toEqual(["classifier"]);
    expect(saved("bert", { method, modulesToSave: [] }).saved).toEqual([]);
  });
});

describe("facts for runners", () => {
  it("are the number of labels and the rows of learned positions", () => {
    expect(plan(readModel(modelFile("bert")))).toMatchObject({
      numLabels: 3,
      maxPositions: expect.any(Number),
    });
    expect(plan(readModel(modelFile("llama"))).maxPositions).toBeUndefined();
  });
});
