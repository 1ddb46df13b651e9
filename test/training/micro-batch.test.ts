/** Gradients of parts of a batch add up to that of the batch; where they would not, the batch is computed whole. */
import { describe, expect, test } from "vitest";
import { runPasses } from "../../src/compile/passes.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { difference } from "../harness/compare.ts";
import { runModel } from "../harness/runtime.ts";

const [rows, seq, width, classes] = [5, 3, 4, 3];

/** A classifier of `[rows, seq]` ids and masks, of which `body` makes scores `y`, [rows, classes], of embeddings `x`. */
function classifier(body: string, batch: string | number = "batch", constants = ""): Model {
  const table = Array.from({ length: 7 * width }, (_, i) => Math.sin(i * 2.3).toFixed(4)).join();
  const head = Array.from({ length: width * classes }, (_, i) => Math.cos(i * 1.9).toFixed(4)).join();
  return parseModel(`<ir_version: 10, opset_import: ["" : 20]>
f (
  int64[${batch}, ${seq}] ids, int64[${batch}, ${seq}] mask,
  #! {"metadata": {"peft.role": "param", "peft.key": "w"}}
  float[${width}, ${width}] w = {${Array.from({ length: width * width }, (_, i) => Math.sin(i).toFixed(4)).join()}}
) => (float[${batch}, ${classes}] y)
<float[7, ${width}] table = {${table}}, float[${width}, ${classes}] head = {${head}}, int64 zero = {0}, int64 one = {1},
 int64[1] first = {0}, int64[1] second = {1}, int64[1] last = {-1}${constants}>
{
  e = Gather (table, ids)
  x = MatMul (e, w)
  ${body}
}`);
}

const pooled = "p = ReduceMean <keepdims = 0> (z, second) y = MatMul (p, head)";

/** The gradient graph, whole and in parts of one row. */
function gradients(model: Model): { whole: Model; parts: Model; remarks: string[] } {
  const remarks: string[] = [];
  const start = [{ pass: "infer-shapes" }, { pass: "loss" }] as const;
  const end = [
    { pass: "autodiff" },
    { pass: "flatten" },
    { pass: "canonicalize" },
    { pass: "cse" },
    { pass: "dce" },
  ] as const;
  runPasses(model, [...start]);
  model.graph.setOutputs(model.graph.outputs.filter(({ name }) => name !== "y"));
  const parts = cloneModel(model);
  runPasses(model, [...end]);
  runPasses(
    parts,
    [
      { pass: "open-batch" },
      ...end,
      { pass: "micro-batch", options: { bytes: 1 } },
      { pass: "canonicalize" },
    ],
    {
      onRemark: (_, message) => remarks.push(message),
    },
  );
  verifyModel(parts);
  return { whole: model, parts, remarks };
}

function run(model: Model): Promise<NDArray[]> {
  const feeds = new Map(
    model.graph.inputs
      .filter((input) => input.initializer === undefined)
      .map((input) => {
        const shape = input.name === "labels" ? [rows] : [rows, seq];
        const size = shape.reduce((product, dim) => product * dim, 1);
        const value = (i: number): number =>
          input.name === "labels"
            ? ([0, 2, -100, 1, 2][i] ?? 0)
            : input.name === "mask"
              ? Number(i % 4 !== 1)
              : (i * 5) % 7;
        return [
          input,
          fromNumbers(
            "int64",
            shape,
            Float64Array.from({ length: size }, (_, i) => value(i)),
          ),
        ];
      }),
  );
  return runModel(model, feeds);
}

function agree(found: readonly NDArray[], expected: readonly NDArray[]): void {
  expect(found.length).toBe(expected.length);
  expected.forEach((array, index) => {
    const other = found[index];
    expect(other && difference(other, array, { absolute: 1e-6, relative: 1e-5 })).toBeUndefined();
    expect(other?.size).toBe(array.size);
  });
}

const rowwise: Readonly<Record<string, Model>> = {
  "a mean over positions": classifier(`z = Relu (x) ${pooled}`),
  "positions and rows in one axis": classifier(
    `flat = Reshape (x, wide) g = Gelu (flat) z = Reshape (g, deep) ${pooled}`,
    "batch",
    `, int64[2] wide = {-1, ${width}}, int64[3] deep = {-1, ${seq}, ${width}}`,
  ),
  "rows as a number in shapes": classifier(
    `flat = Reshape (x, wide) g = Gelu (flat) z = Reshape (g, deep) ${pooled}`,
    rows,
    `, int64[2] wide = {${rows * seq}, ${width}}, int64[3] deep = {${rows}, -1, ${width}}`,
  ),
  "a constant that repeats itself for every row": classifier(
    `z = Add (x, c) ${pooled}`,
    rows,
    `, float[${rows}, 1, ${width}] c = {${Array.from({ length: rows }, () => "1, 2, 3, 4").join()}}`,
  ),
  "attention under a mask": classifier(
    `t = Transpose <perm = [0, 2, 1]> (x) s = MatMul (x, t) m = Cast <to = 9> (mask) k = Unsqueeze (m, second)
     low = Where (k, s, far) a = Softmax <axis = -1> (low) z = MatMul (a, x) ${pooled}`,
    "batch",
    ", float far = {-1000}",
  ),
  "a mask at the places of its own rows": classifier(
    `size = Shape <end = 1> (mask) count = Squeeze (size, first) r = Range (zero, count, one) n = Unsqueeze (r, second)
     length = Shape <start = 1> (mask) s = Squeeze (length, first) k = Range (zero, s, one) at = Mul (n, length) place = Add (at, k)
     m = Cast <to = 1> (mask) f = Flatten <axis = 2> (m) picked = Gather (f, place) z = Mul (x, picked) ${pooled}`,
  ),
  "a mask at pairs of row and position": classifier(
    `size = Shape <end = 1> (mask) count = Squeeze (size, first) r = Range (zero, count, one) n = Unsqueeze (r, second)
     length = Shape <start = 1> (mask) s = Squeeze (length, first) k = Range (zero, s, one) all = Shape (mask)
     rs = Expand (n, all) ks = Expand (k, all) ru = Unsqueeze (rs, last) ku = Unsqueeze (ks, last) pair = Concat <axis = -1> (ru, ku)
     m = Cast <to = 1> (mask) picked = GatherND (m, pair) u = Unsqueeze (picked, last) z = Mul (x, u) ${pooled}`,
  ),
};

const mixing: Readonly<Record<string, Model>> = {
  "a softmax over rows": classifier(`z = Softmax <axis = 0> (x) ${pooled}`),
  "sums over the rows before": classifier(`z = CumSum (x, zero) ${pooled}`),
  "a mean over rows": classifier(`m = ReduceMean (x, first) z = Sub (x, m) ${pooled}`),
  "rows in another order": classifier(
    `z = Slice (x, last, far, first, last) ${pooled}`,
    "batch",
    ", int64[1] far = {-9223372036854775807}",
  ),
  "numbers of rows as values": classifier(
    `size = Shape <end = 1> (mask) count = Squeeze (size, first) r = Range (zero, count, one) f = Cast <to = 1> (r)
     u = Unsqueeze (f, pair) z = Mul (x, u) ${pooled}`,
    "batch",
    ", int64[2] pair = {1, 2}",
  ),
  "positions beyond the row": classifier(
    `size = Shape <end = 1> (mask) count = Squeeze (size, first) r = Range (zero, count, one) n = Unsqueeze (r, second)
     length = Shape <start = 1> (mask) at = Mul (n, length) place = Sub (at, second) up = Abs (place)
     m = Cast <to = 1> (mask) f = Flatten <axis = 2> (m) picked = Gather (f, up) z = Mul (x, picked) ${pooled}`,
  ),
  "a part that depends on how many rows there are": classifier(
    `size = Shape <end = 1> (mask) f = Cast <to = 1> (size) z = Div (x, f) ${pooled}`,
  ),
};

describe("parts of a batch", () => {
  test.each(Object.entries(rowwise))("%s", async (_, model) => {
    const { whole, parts, remarks } = gradients(model);
    expect(remarks).toEqual([]);
    expect([...parts.graph.nodes()].some(({ op }) => op === "Loop")).toBe(true);
    const [expected, found] = [await run(whole), await run(parts)];
    expect(parts.graph.outputs.map(({ name }) => name)).toEqual(whole.graph.outputs.map(({ name }) => name));
    agree(found, expected);
  });
});

describe("batches that are computed whole", () => {
  test.each(Object.entries(mixing))("%s", async (_, model) => {
    const { whole, parts, remarks } = gradients(model);
    expect(remarks.join()).toMatch(/computed whole/);
    expect([...parts.graph.nodes()].some(({ op }) => op === "Loop")).toBe(false);
    const [expected, found] = [await run(whole), await run(parts)];
    agree(found, expected);
  });
});
