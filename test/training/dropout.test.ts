/** Dropout by counter: masks of the right density and scale, independent streams, and the same mask for the same seed. */
import { describe, expect, it } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { symbol } from "../../src/ir/dim.ts";
import type { DType } from "../../src/ir/dtype.ts";
import { Model } from "../../src/ir/model.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import { tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { Dropout } from "../../src/training/dropout.ts";
import { runModel } from "../harness/runtime.ts";
import { GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { evaluateModel } from "./evaluated.ts";
import { compileModel, firstBatch } from "./oracle-models.ts";

const rows = 100;
const size = rows * rows;

/** A model that drops `x` with each of the given probabilities, one output for each. */
function droppingModel(probabilities: readonly number[], dtype: DType = "float32"): Model {
  const model = new Model();
  const { graph } = model;
  const x = graph.addInput({ name: "x", type: tensorType(dtype, [symbol("n"), symbol("m")]) });
  const b = new OpBuilder({ graph }, model.opset);
  const dropout = new Dropout();
  probabilities.forEach((p, index) => {
    const output = dropout.apply(b, x, p);
    output.name = `y${index}`;
    graph.addOutput(output);
  });
  return model;
}

function seed(value: bigint): NDArray {
  return new NDArray("uint64", [], BigUint64Array.of(value));
}

/** The outputs on ones. */
async function masks(model: Model, value: bigint, shape = [rows, rows]): Promise<NDArray[]> {
  const count = shape.reduce((product, dim) => product * dim, 1);
  const [x, seedInput] = model.graph.inputs;
  if (x === undefined || seedInput === undefined) throw new Error("the model lacks an input");
  const ones = fromNumbers(x.tensorType?.dtype ?? "float32", shape, new Float64Array(count).fill(1));
  const feeds = new Map([
    [x, ones],
    [seedInput, seed(value)],
  ]);
  const wanted = evaluateGraph(model.graph, feeds, { opset: model.opset });
  const got = await runModel(model, feeds);
  // The generator is exact arithmetic on whole numbers: both give every bit alike.
  got.forEach((array, i) => expect(array.data).toEqual(wanted[i]?.data));
  return got;
}

const kept = (mask: NDArray | undefined): number[] =>
  (mask?.toNumbers() ?? []).map((value) => (value === 0 ? 0 : 1));
const share = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Share of places where two masks agree, less what chance gives for a density, in standard deviations. */
function agreement(left: readonly number[], right: readonly number[], p: number): number {
  const chance = p * p + (1 - p) * (1 - p);
  const found = share(left.map((value, i) => (value === right[i] ? 1 : 0)));
  return Math.abs(found - chance) / Math.sqrt((chance * (1 - chance)) / left.length);
}

describe("masks", () => {
  it.each([0.1, 0.5, 0.9])("of probability %f drop that share, and scale the rest up", async (p) => {
    const [mask] = await masks(droppingModel([p]), 7n);
    const values = mask?.toNumbers() ?? [];
    const scale = Math.fround(1 / (1 - p));
    expect(values.every((value) => value === 0 || Math.abs(value - scale) < 1e-6)).toBe(true);
    const deviation = Math.sqrt((p * (1 - p)) / size);
    expect(Math.abs(share(kept(mask)) - (1 - p))).toBeLessThan(4 * deviation);
    expect(Math.abs(share(values) - 1)).toBeLessThan(4 * deviation * scale);
  });

  it("are the same for the same seed, and others for another", async () => {
    const model = droppingModel([0.5]);
    const [first] = await masks(model, 123n);
    const [again] = await masks(model, 123n);
    const [other] = await masks(model, 124n);
    expect(again?.data).toEqual(first?.data);
    expect(agreement(kept(first), kept(other), 0.5)).toBeLessThan(4);
  });

  it("of streams in one graph, of neighbouring seeds and of neighbouring elements are independent", async () => {
    const model = droppingModel([0.3, 0.3, 0.3]);
    for (const value of [0n, 1n, 2n, 2n ** 32n, 2n ** 64n - 1n]) {
      const [a = [], b = [], c = []] = (await masks(model, value)).map(kept);
      const [next = []] = (await masks(model, (value + 1n) % 2n ** 64n)).map(kept);
      for (const [left, right] of [
        [a, b],
        [b, c],
        [a, c],
        [a, next],
        [b, next],
        [a.slice(0, -1), a.slice(1)],
        [a.slice(0, -rows), a.slice(rows)],
      ] as const) {
        expect(agreement(left, right, 0.3)).toBeLessThan(4.5);
      }
      // No column or row is special.
      const columns = Array.from({ length: rows }, (_, j) => share(a.filter((_, at) => at % rows === j)));
      expect(Math.max(...columns) - Math.min(...columns)).toBeLessThan(0.35);
    }
  });

  it("depend on the place of an element alone, not on the shape around it", async () => {
    const model = droppingModel([0.5]);
    const [flat] = await masks(model, 5n, [1, 200]);
    const [square] = await masks(model, 5n, [20, 10]);
    expect(square?.shape).toEqual([20, 10]);
    expect([...(square?.data ?? [])]).toEqual([...(flat?.data ?? [])]);
    const [none] = await masks(model, 5n, [0, 3]);
    expect(none?.shape).toEqual([0, 3]);
  });

  it("have the type of what they drop", async () => {
    const model = droppingModel([0.5], "float16");
    const [x, seedInput] = model.graph.inputs;
    if (x === undefined || seedInput === undefined) throw new Error("the model lacks an input");
    const feeds = new Map([
      [x, fromNumbers("float16", [2, 3], [1, 2, 3, 4, 5, 6])],
      [seedInput, seed(1n)],
    ]);
    const [mask] = evaluateGraph(model.graph, feeds, { opset: 20 });
    expect(mask?.dtype).toBe("float16");
    expect([...(mask?.numbers ?? [])].every((value, i) => value === 0 || value === 2 * (i + 1))).toBe(true);
  });

  it("pass gradients as they pass values", () => {
    const model = droppingModel([0.4]);
    const { graph } = model;
    const [x, seedInput] = graph.inputs;
    const [y] = graph.outputs;
    if (x === undefined || seedInput === undefined || y === undefined)
      throw new Error("the model lacks a value");
    // The gradient of the result is the operand, so that the gradient of the operand equals the result.
    const [gradient] = differentiate(graph, [{ value: y, gradient: x }], [x], model.opset);
    if (gradient === undefined) throw new Error("no gradient");
    graph.addOutput(gradient);
    const values = Array.from({ length: 60 }, (_, i) => i + 1);
    const feeds = new Map([
      [x, fromNumbers("float32", [6, 10], values)],
      [seedInput, seed(3n)],
    ]);
    const [forward, backward] = evaluateGraph(graph, feeds, { opset: model.opset });
    expect(backward?.data).toEqual(forward?.data);
  });
});

describe("compiled graphs", () => {
  const method = (dropout: number) => ({
    name: "lora",
    options: { target_modules: ["q_proj", "v_proj"], r: 4, lora_dropout: dropout },
  });
  const compiled = compileModel("llama", { method: method(0.5) });

  it("read one seed where they train, and none where they evaluate", () => {
    for (const [name, count] of Object.entries({ train: 1, grad: 1, eval: 0, apply: 0 })) {
      const inputs = compiled.graphs[name as "train"].graph.inputs.filter((input) => roleOf(input) === "rng");
      expect(
        inputs.map((input) => [roleFact(input, "kind"), input.tensorType?.dtype]),
        name,
      ).toEqual(count === 0 ? [] : [["seed", "uint64"]]);
    }
  });

  it("have no seed without dropout", () => {
    const plain = compileModel("llama", { method: method(0) });
    expect(plain.graphs.train.graph.inputs.some((input) => roleOf(input) === "rng")).toBe(false);
  });

  it("give gradients that depend on the seed and nothing else, the same in our evaluator", async () => {
    const session = await GraphSession.open(compiled.graphs.grad);
    try {
      const state = startingState(compiled, "grad");
      const run = async (value: bigint): Promise<Float64Array> =>
        resultOf(await session.run(firstBatch("llama"), state, { seed: seed(value) }), "grad").numbers;
      const first = await run(11n);
      expect(await run(12n)).not.toEqual(first);
      expect(await run(11n)).toEqual(first);
      const wanted = resultOf(
        evaluateModel(compiled.graphs.grad, firstBatch("llama"), state, { seed: seed(11n) }),
        "grad",
      ).numbers;
      const most = first.reduce((max, value, i) => Math.max(max, Math.abs(value - (wanted[i] ?? 0))), 0);
      expect(most).toBeLessThan(1e-5);
    } finally {
      await session.close();
    }
  });
});
