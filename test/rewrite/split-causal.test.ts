/** Attention in blocks gives the results and gradients of attention as a whole, for sequences of every length. */
import { describe, expect, test } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { difference } from "../harness/compare.ts";
import { runModel } from "../harness/runtime.ts";

/** Attention over 2 heads of 4 elements with a mask that `lines` make of the axis `seq`. */
function attention(lines: string, constants = ""): Model {
  return parseModel(`<ir_version: 10, opset_import: ["" : 20]>
f (float[batch, 2, seq, 4] q, float[batch, 2, seq, 4] k, float[batch, 2, seq, 4] v, bool[batch, 1, 1, seq] seen) => (float[batch, 2, seq, 4] y)
<float scale = {0.5}, float zero = {0}, float low = {-3.4e38}, int64 first = {0}, int64 one = {1}, int64[1] front = {0}, int64[1] back = {1} ${constants}>
{
  size = Shape <start = 2, end = 3> (q)
  total = Squeeze (size, front)
  columns = Range (first, total, one)
  rows = Unsqueeze (columns, back)
  ${lines}
  keys = Transpose <perm = [0, 1, 3, 2]> (k)
  product = MatMul (q, keys)
  scaled = Mul (product, scale)
  scores = Add (scaled, mask)
  shares = Softmax <axis = -1> (scores)
  y = MatMul (shares, v)
}`);
}

const masks: Readonly<Record<string, string>> = {
  "a comparison": "past = LessOrEqual (columns, rows) mask = Where (past, zero, low)",
  "its opposite": "past = GreaterOrEqual (rows, columns) mask = Where (past, zero, low)",
  "what comes after": "future = Greater (columns, rows) mask = Where (future, low, zero)",
  "not what comes after": "future = Less (rows, columns) past = Not (future) mask = Where (past, zero, low)",
  "a comparison and padding":
    "past = LessOrEqual (columns, rows) both = And (seen, past) mask = Where (both, zero, low)",
  "a triangle":
    "square = Concat <axis = 0> (size, size) full = Expand (low, square) mask = Trilu <upper = 1> (full, one)",
};

const refused: Readonly<Record<string, string>> = {
  "a position that does not see itself": "past = Less (columns, rows) mask = Where (past, zero, low)",
  "rows and columns exchanged": "past = LessOrEqual (rows, columns) mask = Where (past, zero, low)",
  "a mask that still lets through": "past = LessOrEqual (columns, rows) mask = Where (past, zero, scale)",
  "padding alone": "mask = Where (seen, zero, low)",
};

function split(model: Model, padded = true): number {
  const before = [...model.graph.nodes()].filter(({ op }) => op === "Softmax").length;
  runPasses(model, [{ pass: "infer-shapes" }, { pass: "split-causal", options: { padded } }]);
  verifyModel(model);
  return [...model.graph.nodes()].filter(({ op }) => op === "Softmax").length - before;
}

function numbers(shape: readonly number[], seed: number): NDArray {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const values = Float64Array.from({ length: size }, (_, i) => Math.sin(i * 1.7 + seed) * 2);
  return fromNumbers("float32", shape, values, false);
}

async function results(model: Model, seq: number, shortened = false): Promise<NDArray[]> {
  const gradient = makeGradient(model, { of: ["y"], wrt: ["q", "k", "v"] }).model;
  if (shortened) runPasses(gradient, "shorten,dce");
  const shape = [2, 2, seq, 4];
  const feeds = new Map(
    gradient.graph.inputs.map((input, index) => [
      input,
      input.name === "seen"
        ? new NDArray(
            "bool",
            [2, 1, 1, seq],
            Float64Array.from({ length: 2 * seq }, (_, i) => Number(i % seq !== 2)),
          )
        : numbers(shape, index),
    ]),
  );
  return runModel(gradient, feeds);
}

describe.each(Object.entries(masks))("under %s", (_, lines) => {
  test.each([1, 2, 3, 5, 16, 37])("a sequence of %i", async (seq) => {
    const [whole, blocks] = [attention(lines), attention(lines)];
    expect(split(blocks)).toBe(3);
    const [expected, actual] = [await results(whole, seq), await results(blocks, seq, true)];
    expect(actual).toHaveLength(4);
    expected.forEach((array, i) => {
      const other = actual[i];
      expect(other && difference(other, array, { absolute: 1e-5, relative: 1e-5 })).toBe(undefined);
    });
  });
});

test.each(Object.entries(refused))("leaves whole: %s", (_, lines) => {
  expect(split(attention(lines))).toBe(0);
});

test("leaves whole a mask that may hide whole rows, unless told that nothing reads those", () => {
  expect(split(attention(masks["a comparison and padding"] ?? ""), false)).toBe(0);
  expect(split(attention(masks["a comparison"] ?? ""), false)).toBe(3);
});
