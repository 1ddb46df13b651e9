/** Mixed precision as promised: products read 16-bit values only, and their rounding is real on the CPU, too. */
import { describe, expect, it } from "vitest";
import { basePath, isInsideSaved } from "../../src/adapt/select.ts";
import { findSites } from "../../src/analysis/sites.ts";
import type { Compiled, GraphName } from "../../src/compile/compile.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleOf } from "../../src/ir/role.ts";
import type { Value } from "../../src/ir/value.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { advance, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { evaluateModel } from "./evaluated.ts";
import { frozenProducts, unroundedOperands } from "./low-products.ts";
import { compileModel, firstBatch, modelFile } from "./oracle-models.ts";

const models = ["llama", "bert", "smallconv"] as const;
const precisions = [
  { precision: "fp16", low: "float16" },
  { precision: "bf16", low: "bfloat16" },
] as const;
const cases = models.flatMap((model) => precisions.map((each) => ({ model, ...each })));
const names: readonly GraphName[] = ["train", "eval", "grad"];

/** A scale at which no gradient of these models overflows or vanishes. */
const scale = 1024;

type Low = (typeof precisions)[number]["low"];

describe.each(cases)("$model in $precision", ({ model, precision, low }) => {
  const request = { precision, ...(precision === "fp16" ? { scaling: { scale } } : {}) };
  const emulated = compileModel(model, request);
  // A provider that nothing is legalised for: the graph before `emulate-low`.
  const native = compileModel(model, { ...request, provider: "webgpu" });

  it("multiplies frozen weights by rounded values only", () => {
    const sites = findSites(readModel(modelFile(model)).graph).filter(
      (site) =>
        (site.kind === "linear" || site.kind === "conv") &&
        !isInsideSaved(emulated.plan.saved, basePath(site)),
    );
    for (const name of names) {
      expect(unroundedOperands(emulated.graphs[name].graph, low, "emulated"), name).toEqual([]);
      expect(unroundedOperands(native.graphs[name].graph, low, "native"), name).toEqual([]);
    }
    // Forward once for each module; backward, too, but where nothing before the module is trained.
    expect(frozenProducts(emulated.graphs.eval.graph)).toHaveLength(sites.length);
    expect(frozenProducts(emulated.graphs.grad.graph).length).toBeGreaterThan(sites.length);
  });

  it("does so on CUDA, or says which node has no kernel", () => {
    const compile = (): Compiled => compileModel(model, { ...request, provider: "cuda" });
    if (model === "smallconv" && precision === "bf16") {
      expect(compile).toThrow(/E_CUDA_NO_KERNEL .*\(Conv\).* no kernel for bfloat16/);
      return;
    }
    const { graphs } = compile();
    for (const name of names) expect(unroundedOperands(graphs[name].graph, low, "native"), name).toEqual([]);
    expect(frozenProducts(graphs.grad.graph).length).toBeGreaterThan(0);
  });

  it("keeps parameters, state, loss and gradients in float32", () => {
    for (const { graph } of [...Object.values(emulated.graphs), ...Object.values(native.graphs)]) {
      for (const value of [...graph.inputs, ...graph.outputs]) {
        const dtype = value.tensorType?.dtype;
        expect(dtype === "float32" || dtype === "int64", `${value.name}: ${dtype}`).toBe(true);
        const role = roleOf(value) ?? "";
        if (["param", "loss", "grad", "logits"].includes(role)) expect(dtype, value.name).toBe("float32");
      }
    }
  });

  it("is emulated by a rewrite of the native graph", () => {
    // The native graph computes its batches whole.
    const whole = compileModel(model, { ...request, disable: ["micro-batch"] });
    const copy = cloneModel(native.graphs.grad);
    runPasses(copy, "emulate-low,dce");
    expect(unroundedOperands(copy.graph, low, "emulated")).toEqual([]);
    expect(operators(copy.graph)).toEqual(operators(whole.graphs.grad.graph));
  });

  it("gives in the runtime what the native graph gives in our evaluator", async () => {
    const wanted = evaluateModel(native.graphs.grad, firstBatch(model), startingState(native, "grad"));
    const got = await run(emulated.graphs.grad, emulated, model);
    expect(gradientDistance(got, wanted, low)).toBeLessThanOrEqual(2);
    expect(lossDistance(got, wanted)).toBeLessThanOrEqual(lossBound);

    const single = compileModel(model);
    const full = scaled(await run(single.graphs.grad, single, model), precision === "fp16" ? scale : 1);
    expect(gradientDistance(full, wanted, low)).toBeGreaterThan(100);
  });

  it("is found out when one pair of Casts is missing", async () => {
    const broken = cloneModel(emulated.graphs.grad);
    dropCastPair(broken.graph);
    expect(unroundedOperands(broken.graph, low, "emulated")).toHaveLength(1);
    const wanted = evaluateModel(native.graphs.grad, firstBatch(model), startingState(native, "grad"));
    const got = await run(broken, emulated, model);
    expect(gradientDistance(got, wanted, low)).toBeGreaterThan(2);
  });
});

describe("loss scaling", () => {
  // Gradients of this model reach 0.44: times this they leave float16, whose largest value is 65,504, and not float32.
  const overflowing = 2 ** 20;
  const compiled = compileModel("llama", {
    precision: "fp16",
    scaling: { scale: overflowing, interval: 3 },
  });
  const lr = fromNumbers("float32", [], [1e-3]);

  it("skips a step whose gradient is not finite, and halves the scale", async () => {
    const single = compileModel("llama");
    const full = resultOf(await run(single.graphs.grad, single, "llama"), "grad").numbers;
    const largest = full.reduce((most, value) => Math.max(most, Math.abs(value)), 0) * overflowing;
    expect(largest).toBeGreaterThan(65_504);
    expect(largest).toBeLessThan(3e38);

    const { state, skipped, before } = await steps(1);
    expect(skipped).toEqual([1]);
    expect(state.get("loss_scale")?.numbers[0]).toBe(overflowing / 2);
    for (const [name, array] of before) {
      if (name !== "loss_scale") expect(state.get(name)?.data, name).toEqual(array.data);
    }
    expect([...before.keys()].sort()).toEqual([
      "good_steps",
      "loss_scale",
      "params",
      "state.m",
      "state.v",
      "step",
    ]);
  });

  it("grows the scale after as many finite steps in a row as the interval says", async () => {
    const { state, skipped, scales, before } = await steps(4, { loss_scale: 1024 });
    expect(skipped).toEqual([0, 0, 0, 0]);
    expect(scales).toEqual([1024, 1024, 2048, 2048]);
    expect(state.get("good_steps")?.toNumbers()).toEqual([1]);
    expect(state.get("step")?.toNumbers()).toEqual([4]);
    expect(state.get("params")?.data).not.toEqual(before.get("params")?.data);
  });

  it("counts finite steps anew after a skipped one", async () => {
    const { state } = await steps(1, { good_steps: 2 });
    expect(state.get("good_steps")?.toNumbers()).toEqual([0]);
  });

  it("trains as without scaling where nothing overflows", async () => {
    const small = (await steps(2, { loss_scale: 256 })).state.get("params")?.numbers ?? [];
    const large = (await steps(2, { loss_scale: 512 })).state.get("params")?.numbers ?? [];
    const [start = 0] = startingState(compiled, "train").get("params")?.numbers ?? [];
    expect(Math.abs((small[0] ?? 0) - start)).toBeGreaterThan(1e-4);
    // A factor of 2 is exact but for gradients that are subnormal in float16.
    const different = [...small].filter((value, i) => Math.abs(value - (large[i] ?? 0)) > 1e-6).length;
    expect(different / small.length).toBeLessThan(0.02);
  });

  async function steps(
    count: number,
    changes: Readonly<Record<string, number>> = {},
  ): Promise<{
    state: Map<string, NDArray>;
    before: Map<string, NDArray>;
    skipped: number[];
    scales: number[];
  }> {
    const session = await GraphSession.open(compiled.graphs.train);
    const state = startingState(compiled, "train");
    for (const [name, value] of Object.entries(changes)) {
      const dtype = state.get(name)?.dtype;
      if (dtype === undefined) throw new Error(`there is no state "${name}"`);
      state.set(name, fromNumbers(dtype, [], [value]));
    }
    const before = new Map(state);
    const skipped: number[] = [];
    const scales: number[] = [];
    try {
      for (let step = 0; step < count; step++) {
        const results = await session.run(firstBatch("llama"), state, { lr });
        advance(state, results);
        skipped.push(resultOf(results, "metric", "skipped").numbers[0] ?? Number.NaN);
        scales.push(state.get("loss_scale")?.numbers[0] ?? Number.NaN);
      }
    } finally {
      await session.close();
    }
    return { state, before, skipped, scales };
  }
});

async function run(model: Model, compiled: Compiled, name: string): Promise<Map<Value, NDArray>> {
  const session = await GraphSession.open(model);
  try {
    return await session.run(firstBatch(name), startingState(compiled, "grad"));
  } finally {
    await session.close();
  }
}

/** Number of nodes of each operator. */
function operators(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes()) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

/** Digits after the first that each type stores, and the exponent below which they get fewer. */
const formats = {
  float16: { digits: 10, smallest: -14 },
  bfloat16: { digits: 7, smallest: -126 },
} as const;

/** Distance of a number to its neighbour in a 16-bit type. */
function unitOf(value: number, low: Low): number {
  const { digits, smallest } = formats[low];
  const exponent = value === 0 ? smallest : Math.max(smallest, Math.floor(Math.log2(Math.abs(value))));
  return 2 ** (exponent - digits);
}

/**
 * Largest distance between gradients, each in units of its own last place in the 16-bit type. The gradients of these
 * adapters are 16-bit values themselves, raised to float32 by the last Cast, so that no wider unit is called for: the
 * runtime sums in float32 and the evaluator in float64, which now and then rounds a value the other way.
 */
function gradientDistance(
  got: ReadonlyMap<Value, NDArray>,
  wanted: ReadonlyMap<Value, NDArray>,
  low: Low,
): number {
  const expected = resultOf(wanted, "grad").numbers;
  const actual = resultOf(got, "grad").numbers;
  expect(actual.length).toBe(expected.length);
  return expected.reduce((most, value, i) => {
    const distance = Math.abs((actual[i] ?? Number.NaN) - value) / unitOf(value, low);
    return Number.isFinite(distance) ? Math.max(most, distance) : Number.POSITIVE_INFINITY;
  }, 0);
}

/**
 * Relative bound of the loss, a float32 mean of float32 log-probabilities over 16-bit scores: an eighth of the share by
 * which a score that rounds the other way can differ in float16 (2^-11), since such scores are few among many; and far
 * more than float32 arithmetic needs.
 */
const lossBound = 2 ** -14;

function lossDistance(got: ReadonlyMap<Value, NDArray>, wanted: ReadonlyMap<Value, NDArray>): number {
  const [expected = 0] = resultOf(wanted, "loss").numbers;
  const [actual = Number.NaN] = resultOf(got, "loss").numbers;
  return Math.abs(actual - expected) / Math.abs(expected);
}

/** Results with gradients times a factor. */
function scaled(results: ReadonlyMap<Value, NDArray>, factor: number): Map<Value, NDArray> {
  return new Map(
    [...results].map(([output, array]) => [
      output,
      roleOf(output) === "grad"
        ? fromNumbers(
            array.dtype,
            array.shape,
            array.numbers.map((value) => value * factor),
          )
        : array,
    ]),
  );
}

/** Lets the first frozen product whose operand is rounded on its way read it unrounded. */
function dropCastPair(graph: Graph): void {
  for (const node of frozenProducts(graph)) {
    for (const [index, input] of node.inputs.entries()) {
      const down = input?.producer?.input(0)?.producer;
      const value = down?.op === "Cast" ? down.input(0) : undefined;
      // Not the weight: a product that reads a whole model's activations unrounded is what is to be found out.
      if (value?.producer === undefined || value.tensorType?.dtype !== "float32") continue;
      node.setInput(index, value);
      return;
    }
  }
  throw new Error("no product reads a rounded activation");
}
