/**
 * Models that onnxruntime's tools quantised: adapters train on them, forward runs the file's operators, and the gradient is that of
 * the same model without rounding, which is what straight-through means.
 */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Compiled, compileGraphs } from "../src/compile/compile.ts";
import { Random } from "../src/data/random.ts";
import { isFloat } from "../src/ir/dtype.ts";
import type { Model } from "../src/ir/model.ts";
import type { Node } from "../src/ir/node.ts";
import { roleOf } from "../src/ir/role.ts";
import { readModel } from "../src/onnx/read.ts";
import { NDArray } from "../src/ops/ndarray.ts";
import { type Batch, GraphSession, resultOf, startingState } from "./oracle/graph-session.ts";
import { randomBatch } from "./oracle/random-batch.ts";
import { checkDirection, evalLoss, normalized, scalar, threeSteps } from "./oracle/three-steps.ts";
import { evaluateModel } from "./training/evaluated.ts";

/** Files, the operators that forward must keep, and whether forward is smooth: only weights are quantised. */
const files: readonly (readonly [
  name: string,
  operators: readonly string[],
  smooth: boolean,
  sites: number,
])[] = [
  ["bert-dynamic", ["DynamicQuantizeLinear", "MatMulInteger"], false, 13],
  ["bert-qdq", ["QuantizeLinear", "DequantizeLinear", "Gemm"], false, 13],
  ["bert-qoperator", ["QuantizeLinear", "DequantizeLinear"], false, 13],
  ["smallconv-qoperator", ["QuantizeLinear", "DequantizeLinear"], false, 5],
  ["llama-8bits", ["MatMulNBits"], true, 14],
  ["llama-int4-qdq", ["DequantizeLinear", "MatMul"], true, 14],
  ["llama-nbits", ["MatMulNBits", "GatherBlockQuantized"], true, 14],
  ["llama-nf4", ["MatMulBnb4"], true, 14],
  ["smallconv-dynamic", ["ConvInteger", "MatMulInteger"], false, 5],
  ["smallconv-qdq", ["QuantizeLinear", "Conv"], false, 5],
];

describe.each(files)("%s", (name, operators, smooth, sites) => {
  const source = readModel(join("fixtures/quantized", `${name}.onnx`));
  const compiled = compileGraphs(source, {
    method: { name: "lora", options: { target_modules: "all-linear" } },
    optimizer: { name: "adamw", options: { lr: 1e-3 } },
    task: "auto",
  });
  const batch = randomBatch(compiled.graphs.train.graph, { batch: 2, seq: 5, seed: 1 });

  it("trains", async () => {
    expect(compiled.plan.sites.length).toBe(sites);
    const first = await evalLoss(compiled, batch);
    const { losses, before, after } = await threeSteps(compiled, batch);
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(Math.abs((losses[0] ?? Number.NaN) - first)).toBeLessThanOrEqual(
      1e-5 * Math.max(1, Math.abs(first)),
    );
    const moved = [...before].filter(([, array]) => array.numbers.every((value) => value === 0));
    expect(moved.length).toBeGreaterThanOrEqual(sites);
    for (const [key] of moved)
      expect(
        after.get(key)?.numbers.some((value) => value !== 0),
        key,
      ).toBe(true);
  });

  it("keeps the file's operators, and no weight as wide floats", () => {
    const { train } = compiled.graphs;
    const found = new Set([...train.graph.allNodes()].map(({ op }) => op));
    for (const operator of operators) expect(found, operator).toContain(operator);
    expect(floatElements(train)).toBeLessThanOrEqual(floatElements(source) + 512);
  });

  it("dequantises weights once for forward and once for backward", () => {
    const readersOf = ({ graph }: Model): Node[][] =>
      [...graph.initializers]
        .filter(({ initializer }) => initializer?.dims.length === 2)
        .map(({ uses }) =>
          [...uses].flatMap((use) =>
            use.kind === "operand" && use.index === 0 && use.node.op === "DequantizeLinear" ? [use.node] : [],
          ),
        )
        .filter((nodes) => nodes.length > 0);
    const { grad, eval: forward } = compiled.graphs;
    for (const nodes of readersOf(forward)) expect(nodes.length).toBe(1);
    const twice = readersOf(grad).filter(({ length }) => length > 1);
    if (name.endsWith("-qdq")) expect(twice.length).toBeGreaterThan(0);
    // Each has one reader, after which its floats are free.
    for (const nodes of twice) expect(nodes.map((node) => node.output().uses.size)).toEqual([1, 1]);
  });

  it("has the gradient of the model without rounding", async () => {
    const { gradient, slope, measured } = unrounded(compiled, batch);
    expect(Math.abs(measured - slope)).toBeLessThanOrEqual(1e-6 + 1e-4 * Math.abs(slope));
    const run = await runtimeGradient(compiled, batch);
    const cosine = normalized(run).reduce((sum, value, i) => sum + value * (normalized(gradient)[i] ?? 0), 0);
    expect(cosine).toBeGreaterThan(smooth ? 0.99999 : 0.95);
    if (smooth) await checkDirection(compiled, batch);
  });
});

/** Elements of all float constants. */
function floatElements({ graph }: Model): number {
  return [...graph.initializers].reduce((sum, { initializer }) => {
    return sum + (initializer !== undefined && isFloat(initializer.dtype) ? initializer.size : 0);
  }, 0);
}

/** Parameters off their start, where B is zero and A has no gradient. */
function movedState(compiled: Compiled): { name: string; flat: NDArray } {
  const [input] = compiled.graphs.grad.graph.inputs.filter((value) => roleOf(value) === "param");
  const start = startingState(compiled, "grad").get(input?.name ?? "");
  if (input === undefined || start === undefined) throw new Error("nothing is trained");
  const random = new Random(7);
  const moved = start.numbers.map((value) => Math.fround(value + 0.02 * random.normal()));
  return { name: input.name, flat: new NDArray("float32", [moved.length], moved) };
}

/** The gradient in exact mode, and its slope along a direction against central differences of the exact loss. */
function unrounded(
  compiled: Compiled,
  batch: Batch,
): { gradient: Float64Array<ArrayBuffer>; slope: number; measured: number } {
  const { name, flat } = movedState(compiled);
  const { grad } = compiled.graphs;
  const at = (values: Float64Array<ArrayBuffer>): ReturnType<typeof evaluateModel> =>
    evaluateModel(grad, batch, new Map([[name, new NDArray("float32", flat.shape, values)]]), {}, true);
  const gradient = resultOf(at(flat.numbers), "grad").numbers;
  const random = new Random(9);
  const noise = normalized(gradient.map(() => random.normal()));
  const along = normalized(gradient).map((value, i) => value + (noise[i] ?? 0));
  const slope = gradient.reduce((sum, value, i) => sum + value * (along[i] ?? 0), 0);
  const step = 1e-4;
  const loss = (sign: number): number =>
    scalar(resultOf(at(flat.numbers.map((value, i) => value + sign * step * (along[i] ?? 0))), "loss"));
  return { gradient, slope, measured: (loss(1) - loss(-1)) / (2 * step) };
}

async function runtimeGradient(compiled: Compiled, batch: Batch): Promise<Float64Array<ArrayBuffer>> {
  const { name, flat } = movedState(compiled);
  const session = await GraphSession.open(compiled.graphs.grad);
  try {
    return resultOf(await session.run(batch, new Map([[name, flat]])), "grad").numbers;
  } finally {
    await session.close();
  }
}
