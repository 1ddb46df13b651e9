/** Several adapters in one model, against PEFT's logits of each, of both at once, and of none. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { findSites } from "../../src/analysis/sites.ts";
import { attachAdapters, type NamedAdapter } from "../../src/compile/attach.ts";
import { combineAdapters } from "../../src/compile/combine.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleFact } from "../../src/ir/role.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { expectClose, tolerances } from "../oracle/close.ts";
import { GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";
import { batchOf } from "../oracle/trajectory.ts";

const exports = ["model.onnx", "model-dynamo.onnx"] as const;
const caseOf = (model: string, name: string): string => join(oracleRoot, "cases", model, name);
const named = (model: string, ...names: string[]): NamedAdapter[] =>
  names.map((name, i) => ({ name: `a${i + 1}`, folder: caseOf(model, name) }));
const two = ["first", "second"].map((name) => ({
  name,
  folder: join(caseOf("llama", "lora-two-adapters"), name),
}));
const source = (model: string, exported: string): Model =>
  readModel(join(oracleRoot, "models", model, exported));

async function logitsOf(model: Model, name: string, rows?: readonly number[]): Promise<NDArray> {
  const io = batchOf(readArrays(join(oracleRoot, "models", name, "io.safetensors")), "batch0");
  const feeds = new Map(
    model.graph.inputs.flatMap((input) => {
      if (input.name === "adapter_names")
        return [[input, fromNumbers("int64", [rows?.length ?? 0], rows ?? [])] as const];
      const array = io.get(input.name);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const outputs = await runModel(model, feeds);
  const at = model.graph.outputs.findIndex((output) => output.name === "logits");
  const logits = outputs[at];
  if (logits === undefined) throw new Error("no logits");
  return logits;
}

/** Row by row from several arrays. */
function mixed(rows: readonly number[], choices: readonly (NDArray | undefined)[]): NDArray {
  const [some] = choices;
  if (some === undefined) throw new Error("the set has no logits");
  const size = some.size / (some.shape[0] ?? 1);
  const values = new Float64Array(some.size);
  rows.forEach((choice, row) => {
    const own = choices[choice]?.numbers.slice(row * size, (row + 1) * size) ?? [];
    values.set(own, row * size);
  });
  return new NDArray(some.dtype, some.shape, values);
}

const expectedOf = (model: string, name: string, key = "logits"): NDArray | undefined =>
  readArrays(join(caseOf(model, name), "expected.safetensors")).get(key);
const baseOf = (model: string): NDArray | undefined =>
  readArrays(join(oracleRoot, "models", model, "io.safetensors")).get("batch0.logits");

describe.each(exports)("%s", (exported) => {
  it.each([["first"], ["second"], ["first", "second"]])("active: %s %s", async (...active) => {
    const model = attachAdapters(source("llama", exported), two, {
      active: active.filter((name) => name !== undefined),
    });
    expect(model.graph.inputs.map(({ name }) => name)).not.toContain("adapter_names");
    const key = `logits.${active.filter((name) => name !== undefined).join("+")}`;
    expectClose(
      key,
      await logitsOf(model, "llama"),
      expectedOf("llama", "lora-two-adapters", key),
      tolerances.exact,
    );
  });

  it("active: none", async () => {
    const model = attachAdapters(source("llama", exported), two, { active: [] });
    expectClose("base", await logitsOf(model, "llama"), baseOf("llama"), tolerances.exact);
  });

  it("vectors of IA3 multiply", async () => {
    const both = ["first", "second"].map((name) => ({
      name,
      folder: join(caseOf("llama", "ia3-weighted"), name),
    }));
    const model = attachAdapters(source("llama", exported), both, { active: ["first", "second"] });
    const wanted = expectedOf("llama", "ia3-weighted", "logits.first+second");
    expectClose("both", await logitsOf(model, "llama"), wanted, tolerances.exact);
  });

  it.each([[[0, 1]], [[2, 0]], [[1, 2]], [[2, 2]]])("rows %j, ranks 4 and 2", async (rows) => {
    const model = attachAdapters(source("llama", exported), two);
    const field = model.graph.inputs.find(({ name }) => name === "adapter_names");
    expect(field && roleFact(field, "names")).toBe("__base__,first,second");
    const choices = [
      baseOf("llama"),
      ...["first", "second"].map((name) => expectedOf("llama", "lora-two-adapters", `logits.${name}`)),
    ];
    expectClose("mixed", await logitsOf(model, "llama", rows), mixed(rows, choices), tolerances.exact);
  });

  it("rows of several methods, and of heads that were trained whole", async () => {
    const methods = ["lora", "ia3", "lora-dora", "hra"];
    const model = attachAdapters(source("bert", exported), named("bert", ...methods));
    const choices = [baseOf("bert"), ...methods.map((name) => expectedOf("bert", name))];
    const count = choices[0]?.shape[0] ?? 0;
    for (const start of [0, 2, 4]) {
      const rows = Array.from({ length: count }, (_, row) => (start + row) % choices.length);
      expectClose("mixed", await logitsOf(model, "bert", rows), mixed(rows, choices), tolerances.exact);
    }
  });

  it("rows of images", async () => {
    const model = attachAdapters(source("vit", exported), named("vit", "lora", "ia3"));
    const choices = [baseOf("vit"), expectedOf("vit", "lora"), expectedOf("vit", "ia3")];
    const rows = Array.from({ length: choices[0]?.shape[0] ?? 0 }, (_, row) => (row + 1) % 3);
    expectClose("mixed", await logitsOf(model, "vit", rows), mixed(rows, choices), tolerances.exact);
  });

  it("one trained beside another that acts and stays as it is", async () => {
    const attached = attachAdapters(source("llama", exported), two, { active: ["second"] });
    // As it is read again from a file.
    const beside = readModel(encodeModel(attached));
    expect(findSites(beside.graph).map(({ path }) => path)).toEqual(
      findSites(attached.graph).map(({ path }) => path),
    );
    const first = readPeftFolder(join(caseOf("llama", "lora-two-adapters"), "first"));
    const compiled = compileGraphs(
      beside,
      { method: { name: first.method, options: { ...first.options } }, task: "causal-lm" },
      { adapter: first },
    );
    expect([...compiled.parameterKeys].sort()).toEqual([...first.tensors.keys()].sort());
    const session = await GraphSession.open(compiled.graphs.eval);
    const io = batchOf(readArrays(join(oracleRoot, "models", "llama", "io.safetensors")), "batch0");
    const results = await session.run(io, startingState(compiled, "eval"));
    const wanted = expectedOf("llama", "lora-two-adapters", "logits.first+second");
    expectClose("both", resultOf(results, "logits"), wanted, tolerances.exact);
    await session.close();
  });
});

describe("refusals", () => {
  const [first = { name: "", folder: "" }] = two;
  const attach =
    (adapters: readonly NamedAdapter[], active?: readonly string[]): (() => unknown) =>
    () =>
      attachAdapters(source("llama", "model.onnx"), adapters, active === undefined ? {} : { active });
  it.each([
    ["a name twice", attach([first, first]), "E_ATTACH_NAME"],
    ["the name of the base", attach([{ ...first, name: "__base__" }]), "E_ATTACH_NAME"],
    ["an unknown name", attach([first], ["third"]), "E_ATTACH_NAME"],
    ["prompts", attach(named("llama", "prompt_tuning")), "E_ATTACH_REFUSED"],
    ["biases", attach(named("bert", "lora-biases-all")), "E_ATTACH_REFUSED"],
    ["methods that mix rows", attach(named("llama", "lily")), "E_ATTACH_REFUSED"],
    [
      "methods that do not say what they do beside others",
      attach(named("llama", "lora", "hra"), ["a1", "a2"]),
      "E_ATTACH_REFUSED",
    ],
    ["another model's adapter", attach(named("bert", "lora")), "E_TARGET_NOT_FOUND"],
  ])("%s", (_, act, code) => {
    try {
      act();
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      expect(error.code).toBe(code);
      return;
    }
    throw new Error("nothing was refused");
  });

  it("are not needed for what is the same as one combined adapter", async () => {
    const [a, b] = two;
    if (a === undefined || b === undefined) throw new Error("two adapters");
    const both = combineAdapters([{ folder: a.folder }, { folder: b.folder }], { type: "cat" });
    expect(both.options.r).toBe(6);
  });
});

describe("adapters that tokens choose from", () => {
  const folder = caseOf("llama", "lora-arrow");
  const experts = ["first", "second"].map((name) => ({ name, folder: join(folder, "adapters", name) }));
  const active = ["first", "second"];
  const expected = readArrays("fixtures/oracles/formula/llama/lora-arrow/expected.safetensors");

  it.each([
    [
      "share what the best of them make",
      "shared",
      { active, routing: { top_k: 2, router_temperature: 0.5 } },
    ],
    ["lose what they have in common", "general", { active, routing: { top_k: 1 }, general: ["second"] }],
  ])("%s, as PEFT's do", async (_, name, options) => {
    const model = attachAdapters(source("llama", "model.onnx"), experts, options);
    expectClose(name, await logitsOf(model, "llama"), expected.get(`logits.${name}`), tolerances.exact);
  });

  it.each([
    [
      "more than there are",
      experts,
      { active, routing: { top_k: 3 } },
      /top_k is 3, and there are 2 experts/,
    ],
    ["unknown options", experts, { active, routing: { top: 1 } }, /top/],
    [
      "methods that do not say how",
      named("llama", "ia3", "lora"),
      { active: ["a1", "a2"], routing: { top_k: 1 } },
      /tokens choose among adapters of one method/,
    ],
  ])("are refused: %s", (_, adapters, options, message) => {
    expect(() => attachAdapters(source("llama", "model.onnx"), adapters, options)).toThrow(message);
  });
});
