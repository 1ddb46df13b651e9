/** A base of 8- or 4-bit numbers: near to the float32 one in results, and exactly its own gradient. */
import { describe, expect, test } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Model } from "../../src/ir/model.ts";
import { tensorType } from "../../src/ir/type.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";

const [rows, columns] = [64, 96];

/** Uniform numbers between -1 and 1 by a multiplicative generator. */
const wave = (size: number, seed: number): number[] => {
  let state = seed;
  return Array.from({ length: size }, () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  });
};

/** Two products with the same frozen matrix, one after a matrix that is fed. */
function model(): Model {
  const made = new Model();
  const { graph } = made;
  const x = graph.addInput({ name: "x", type: tensorType("float32", [3, rows]) });
  const b = new OpBuilder({ graph }, made.opset);
  const weight = b.constant(float32Tensor(wave(rows * columns, 11), [rows, columns]), "weight");
  const y = b.add(b.matmul(x, weight), b.matmul(b.op("Tanh", [x]), weight));
  y.name = "y";
  graph.addOutput(y);
  verifyModel(made);
  return made;
}

async function resultsOf(made: Model): Promise<NDArray[]> {
  const gradient = makeGradient(made, { of: ["y"], wrt: ["x"] }).model;
  const feeds = new Map(
    gradient.graph.inputs.map((input) => {
      const shape = input.name === "x" ? [3, rows] : [3, columns];
      return [input, fromNumbers("float32", shape, Float64Array.from(wave(3 * (shape[1] ?? 0), 7)), false)];
    }),
  );
  return runModel(gradient, feeds);
}

const relative = (found: NDArray | undefined, expected: NDArray | undefined): number => {
  const [left, right] = [found?.toNumbers() ?? [], expected?.toNumbers() ?? []];
  expect(left).toHaveLength(right.length);
  const error = left.reduce((sum, value, i) => sum + (value - (right[i] ?? 0)) ** 2, 0);
  return Math.sqrt(error / right.reduce((sum, value) => sum + value ** 2, 0));
};

describe.each([
  [8, "DynamicQuantizeMatMul", 0.02],
  [4, "MatMulNBits", 0.1],
] as const)("%i bits", (bits, op, bound) => {
  test("keeps results and gradients near to those of float32, and says how far off the weights are", async () => {
    const [exact, rounded] = [model(), model()];
    const remarks: string[] = [];
    runPasses(rounded, [{ pass: "infer-shapes" }, { pass: "quantize-base", options: { bits } }], {
      onRemark: (_, message) => remarks.push(message),
    });
    verifyModel(rounded);
    expect([...rounded.graph.nodes()].filter((node) => node.op === op)).toHaveLength(2);
    expect(rounded.graph.initializers.size, "numbers and scales, once").toBe(2);
    expect(remarks).toEqual([expect.stringMatching(/2 products, weights off by \d+\.\d\d %/)]);
    const [expected, found] = [await resultsOf(exact), await resultsOf(rounded)];
    for (const at of [0, 1]) {
      expect(relative(found[at], expected[at])).toBeLessThan(bound);
      expect(relative(found[at], expected[at])).toBeGreaterThan(bound / 100);
    }
  });
});
