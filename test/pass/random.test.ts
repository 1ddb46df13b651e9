/** On random models each pass keeps what is computed, for several sizes of the axes, and a second run finds nothing. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import canonicalize from "../../passes/canonicalize.ts";
import cse from "../../passes/cse.ts";
import dce from "../../passes/dce.ts";
import fold from "../../passes/fold.ts";
import foldShapes from "../../passes/fold-shapes.ts";
import inferShapes from "../../passes/infer-shapes.ts";
import liftConstants from "../../passes/lift-constants.ts";
import { InternalError } from "../../src/diagnostics/define.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import type { Model } from "../../src/ir/model.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { runPipeline } from "../../src/pass/manager.ts";
import { printModel } from "../../src/text/print.ts";
import { modelOf, stepLists } from "./random-model.ts";

const registry = [canonicalize, cse, dce, fold, foldShapes, inferShapes, liftConstants];
const simplify = "infer-shapes,canonicalize,fold,infer-shapes,fold-shapes,canonicalize,cse,dce";
const sizes = [
  [2, 3],
  [1, 1],
  [0, 2],
] as const;

/** Outputs for x [n, 3] and y [m, 1, 2], both filled with numbers that differ. */
function outputsOf(model: Model, [n, m]: readonly [number, number]): NDArray[] {
  const shapes = [
    [n, 3],
    [m, 1, 2],
  ];
  const feeds = new Map(
    model.graph.inputs.map((input, index) => {
      const shape = shapes[index] ?? [];
      const count = shape.reduce((product, dim) => product * dim, 1);
      const values = Array.from({ length: count }, (_, i) => (i * 0.37 + index + 1) * (i % 2 === 0 ? 1 : -1));
      return [input, fromNumbers("float32", shape, values)];
    }),
  );
  return evaluateGraph(model.graph, feeds, { opset: model.opset });
}

/** Undefined where the model itself fails on an empty axis, such as in a Reshape to a size of 0, which means another. */
function outputsIfAny(model: Model, size: readonly [number, number]): NDArray[] | undefined {
  try {
    return outputsOf(model, size);
  } catch (error) {
    if (size.includes(0) && error instanceof InternalError) return undefined;
    throw error;
  }
}

/** Arrays as text; 0 and -0 are one number. */
const textOf = (arrays: readonly NDArray[]): string[] =>
  arrays.map(
    ({ dtype, shape, data }) => `${dtype}[${shape}] ${Array.from<unknown, string>(data, (v) => String(v))}`,
  );

function run(model: Model, pipeline: string) {
  return runPipeline(model, pipeline, { registry, print: printModel, verifyEach: true, checkTruth: true });
}

function check(pipeline: string): void {
  fc.assert(
    fc.property(stepLists(14), (steps) => {
      const before = modelOf(steps);
      const after = cloneModel(before);
      run(after, pipeline);
      for (const size of sizes) {
        const wanted = outputsIfAny(before, size);
        if (wanted !== undefined) expect(textOf(outputsOf(after, size))).toEqual(textOf(wanted));
      }
    }),
    { numRuns: 150, seed: 7 },
  );
}

describe("random models compute the same after", () => {
  it.each(["canonicalize", "fold", "fold-shapes", "cse", "dce"])("%s", (pass) =>
    check(`infer-shapes,${pass}`),
  );
  it("all of them together", () => check(simplify));
});

describe("a second run finds nothing to do", () => {
  it.each(["canonicalize", "fold", "fold-shapes", "cse", "dce", "lift-constants"])("in %s", (pass) => {
    fc.assert(
      fc.property(stepLists(14), (steps) => {
        const model = modelOf(steps);
        run(model, `infer-shapes,${pass}`);
        expect(run(model, pass).changed).toBe(false);
      }),
      { numRuns: 100, seed: 11 },
    );
  });
});
