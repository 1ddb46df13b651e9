/** A head in chunks of rows gives the losses and gradients of a whole one, however many rows there are. */
import { describe, expect, test } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { difference } from "../harness/compare.ts";
import { runModel } from "../harness/runtime.ts";

const [width, classes, batch] = [4, 7, 3];

/** The loss of scores by a frozen head over rows that are trained, of all positions but the last. */
function languageModel(head: string): Model {
  const table = Array.from({ length: width * classes }, (_, i) => Math.sin(i * 2.3).toFixed(4)).join();
  return parseModel(`<ir_version: 10, opset_import: ["" : 20]>
f (
  #! {"metadata": {"peft.role": "param", "peft.key": "rows"}}
  float[batch, seq, ${width}] rows,
  int64[batch, judged] ids
) => (float loss)
<float[${classes}, ${width}] table = {${table}}, float[${width}, ${classes}] weight = {${table}},
 int64[1] first = {0}, int64[1] last = {-1}, int64[1] one = {1}>
{
  ${head}
  judged_scores = Slice (scores, first, last, one)
  logs = LogSoftmax <axis = -1> (judged_scores)
  places = Unsqueeze (ids, last)
  picked = GatherElements <axis = -1> (logs, places)
  shares = Sin (picked)
  loss = ReduceSum <keepdims = 0> (shares)
}`);
}

const heads: Readonly<Record<string, string>> = {
  "a weight": "scores = MatMul (rows, weight)",
  "a turned table": "turned = Transpose <perm = [1, 0]> (table) scores = MatMul (rows, turned)",
};

function chunked(model: Model): boolean {
  const options = { bytes: 4 * classes * 4, classes: 2 };
  runPasses(model, [{ pass: "infer-shapes" }, { pass: "chunk-head", options }]);
  verifyModel(model);
  return [...model.graph.nodes()].some(({ op }) => op === "Scan");
}

async function results(model: Model, seq: number): Promise<NDArray[]> {
  const gradient = makeGradient(model, { of: ["loss"], wrt: ["rows"] }).model;
  const judged = batch * (seq - 1);
  const rows = Float64Array.from({ length: batch * seq * width }, (_, i) => Math.sin(i * 1.7) * 2);
  const ids = Float64Array.from({ length: judged }, (_, i) => (i * 5) % classes);
  const feeds = new Map(
    gradient.graph.inputs.map((input) => [
      input,
      input.name === "rows"
        ? fromNumbers("float32", [batch, seq, width], rows, false)
        : input.name === "ids"
          ? fromNumbers("int64", [batch, seq - 1], ids)
          : fromNumbers("float32", [], [1]),
    ]),
  );
  return runModel(gradient, feeds);
}

describe.each(Object.entries(heads))("with %s", (_, head) => {
  test.each([1, 2, 3, 4, 9])("sequences of %i", async (seq) => {
    const [whole, parts] = [languageModel(head), languageModel(head)];
    expect(chunked(parts)).toBe(true);
    const [expected, actual] = [await results(whole, seq), await results(parts, seq)];
    expect(actual).toHaveLength(2);
    expected.forEach((array, i) => {
      const other = actual[i];
      expect(other && difference(other, array, { absolute: 1e-5, relative: 1e-5 })).toBe(undefined);
    });
  });
});

test.each([
  ["another reader of the scores", "scores = MatMul (rows, weight) unread = Sin (scores)"],
  [
    "rows that are not trained",
    "size = Shape (rows) zero = Cast <to = 1> (first) even = Expand (zero, size) scores = MatMul (even, weight)",
  ],
])("leaves whole: %s", (_, head) => {
  expect(chunked(languageModel(head))).toBe(false);
});
