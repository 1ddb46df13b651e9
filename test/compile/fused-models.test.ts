/** Models that the runtime's optimizer fused: same logits, same modules, same training, and merging into the same nodes. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { basePath } from "../../src/adapt/select.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { Random } from "../../src/data/random.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, fromTensor, type NDArray, toTensor } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { advance, type Batch, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { randomBatch } from "../oracle/random-batch.ts";

const folder = "fixtures/models/fused";
const oracle = (model: string): string => join(oracleRoot, "models", model, "model.onnx");

/** Fused files and what they were made from. */
const files = {
  "encoder-attention": join(folder, "encoder.onnx"),
  "encoder-multi-head": join(folder, "encoder.onnx"),
  "encoder-extended": join(folder, "encoder.onnx"),
  "llama-extended": oracle("llama"),
  "llama-transformers": oracle("llama"),
  "t5-extended": oracle("t5"),
};
const cases = Object.entries(files).map(([name, from]) => ({ name, from }));
/** Those in which every module keeps its name. */
const named = cases.filter(({ name }) => name !== "encoder-attention");

const open = (name: string): Model => readModel(join(folder, `${name}.onnx`));

function prepared(model: Model): Model {
  const copy = cloneModel(model);
  runPasses(copy, preparePipeline);
  verifyModel(copy);
  return copy;
}

function compileAll(model: Model, request: CompileRequest = {}): Compiled {
  const method = { name: "lora", options: { target_modules: "all-linear", init_lora_weights: false } };
  return compileGraphs(model, { method, ...request });
}

const batchOf = (compiled: Compiled): Batch =>
  randomBatch(compiled.graphs.train.graph, { batch: 2, seq: 7, seed: 5 });

async function logitsOf(model: Model, batch: Batch): Promise<NDArray> {
  const feeds = new Map(
    model.graph.inputs.flatMap((input) => {
      const array = batch.get(input.name);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const [logits] = await runModel(model, feeds);
  if (logits === undefined) throw new Error("no logits");
  return logits;
}

function largestDifference(left: NDArray, right: NDArray): number {
  expect(left.shape).toEqual(right.shape);
  return Math.max(...left.numbers.map((value, i) => Math.abs(value - (right.numbers[i] ?? Number.NaN))));
}

test.each(cases)("$name gives the logits of its origin", async ({ name, from }) => {
  const [fused, plain] = [open(name), readModel(from)];
  const batch = batchOf(compileAll(plain));
  const wanted = await logitsOf(plain, batch);
  expect(largestDifference(await logitsOf(fused, batch), wanted)).toBeLessThan(1e-5);
  expect(largestDifference(await logitsOf(prepared(fused), batch), wanted)).toBeLessThan(1e-5);
});

const modules = (model: Model): string[] =>
  findSites(prepared(model).graph)
    .map((site) => `${site.kind} ${site.path}${site.bias === undefined ? "" : " with a bias"}`)
    .sort();

test.each(named)("$name has the modules of its origin", ({ name, from }) => {
  expect(modules(open(name))).toEqual(modules(readModel(from)));
});

test("the projections inside an Attention are modules, named after its weights", () => {
  const own = ["q_proj", "k_proj", "v_proj"].map((last) => `linear Attention_1.${last} with a bias`);
  expect(modules(open("encoder-attention"))).toEqual(expect.arrayContaining(own));
  const others = modules(readModel(files["encoder-attention"])).filter((path) => !/\.self\./.test(path));
  expect(modules(open("encoder-attention"))).toEqual(expect.arrayContaining(others));
});

/** Losses of three steps, and one more after them. */
async function losses(compiled: Compiled, batch: Batch): Promise<number[]> {
  const session = await GraphSession.open(compiled.graphs.train);
  const state = startingState(compiled, "train");
  try {
    const found: number[] = [];
    for (let step = 0; step < 4; step++) {
      const results = await session.run(batch, state, { lr: fromNumbers("float32", [], [0.05]) });
      found.push(Number(resultOf(results, "loss").toNumbers()[0]));
      advance(state, results);
    }
    return found;
  } finally {
    await session.close();
  }
}

describe("training", () => {
  const methods = [
    { name: "lora", options: { target_modules: "all-linear", init_lora_weights: false } },
    { name: "lora", options: { target_modules: "all-linear", init_lora_weights: false, bias: "all" } },
    { name: "ia3", options: { target_modules: "all-linear", feedforward_modules: [] } },
    { name: "ln-tuning", options: { target_modules: ".*[Nn]orm" } },
  ];
  test.each(named.flatMap((each) => methods.map((method) => ({ ...each, method }))))(
    "$name trains as its origin does, by $method.name, bias $method.options.bias",
    async ({ name, from, method }) => {
      const [fused, plain] = [open(name), readModel(from)].map((model) =>
        compileAll(model, { method, optimizer: { name: "sgd", options: {} } }),
      );
      if (fused === undefined || plain === undefined) throw new Error("not compiled");
      expect([...fused.parameterKeys].sort()).toEqual([...plain.parameterKeys].sort());
      const batch = batchOf(plain);
      const [got, wanted] = [await losses(fused, batch), await losses(plain, batch)];
      expect(Math.abs((wanted[0] ?? 0) - (wanted[3] ?? 0))).toBeGreaterThan(1e-4);
      got.forEach((loss, step) => {
        expect(Math.abs(loss - (wanted[step] ?? Number.NaN)), `step ${step}`).toBeLessThan(2e-5);
      });
    },
  );
});

/** The same with every trained bias moved, as training would. */
function withOtherBiases(compiled: Compiled): Compiled {
  const random = new Random(3);
  const moved = [...compiled.state.tensors].map(([key, tensor]) => {
    if (!compiled.parameterKeys.has(key) || !key.endsWith(".bias")) return [key, tensor] as const;
    const numbers = fromTensor(tensor).toNumbers();
    const other = numbers.map((value) => value + 0.1 * random.normal());
    return [key, toTensor(fromNumbers("float32", tensor.dims, other))] as const;
  });
  return { ...compiled, state: { ...compiled.state, tensors: new Map(moved) } };
}

describe("merging", () => {
  const methods = [
    { name: "lora", options: { target_modules: "all-linear", init_lora_weights: false } },
    { name: "lora", options: { target_modules: "all-linear", init_lora_weights: false, bias: "lora_only" } },
    {
      name: "ia3",
      options: { target_modules: "all-linear", feedforward_modules: [], init_ia3_weights: false },
    },
  ];
  test.each(cases.flatMap((each) => methods.map((method) => ({ ...each, method }))))(
    "$name keeps its nodes, with $method.name inside, bias $method.options.bias",
    async ({ name, method }) => {
      const source = open(name);
      const compiled = withOtherBiases(compileAll(source, { method }));
      const batch = batchOf(compiled);
      const session = await GraphSession.open(compiled.graphs.eval);
      const wanted = resultOf(await session.run(batch, startingState(compiled, "eval")), "logits");
      await session.close();
      const merged = await mergeModel(source, {
        adapter: compiled.plan.adapter,
        paths: compiled.plan.sites.map(basePath),
        tensors: new Map([...compiled.state.tensors].filter(([key]) => compiled.parameterKeys.has(key))),
        run: runConstantGraph,
      });
      verifyModel(merged);
      expect(largestDifference(await logitsOf(merged, batch), wanted)).toBeLessThan(1e-4);
      expect(largestDifference(await logitsOf(source, batch), wanted)).toBeGreaterThan(1e-3);
      const kinds = ({ graph }: Model): string[] =>
        [...graph.nodes()].map(({ op }) => op).filter((op) => op !== "Constant");
      expect(kinds(merged)).toEqual(kinds(source));
      expect(merged.opset).toBe(source.opset);
    },
  );
});
