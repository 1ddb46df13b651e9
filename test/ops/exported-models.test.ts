/** Whole exported models: what inference says of every value, and what the evaluator computes, against the runtime. */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { findCaches } from "../../src/analysis/cache.ts";
import { Random } from "../../src/data/random.ts";
import { type Dim, substituteDim, symbolsOf } from "../../src/ir/dim.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Value } from "../../src/ir/value.ts";
import { readModel } from "../../src/onnx/read.ts";
import { type Environment, evaluateGraph } from "../../src/ops/evaluate.ts";
import { shapeOf } from "../../src/ops/facts.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { baseOpset } from "../../src/ops/versions.ts";
import { upgradeGraph } from "../../src/rewrite/upgrade.ts";
import { difference } from "../harness/compare.ts";
import { runModel } from "../harness/runtime.ts";

const roots = [
  resolve(process.env.PEFT_MODELS ?? "fixtures/models"),
  join(process.env.PEFT_ORACLES ?? "fixtures/oracles", "models"),
];
const files = roots.flatMap((root) =>
  readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".onnx"))
    .map((name) => join(root, name))
    .filter((file) => !isBeyondRuntime(file)),
);

/** The runtime has no kernel of GroupQueryAttention for heads as small as in models with caches that fit a test. */
function isBeyondRuntime(file: string): boolean {
  return findCaches(readModel(file).graph).length > 0;
}

/** Sizes of named axes, no two of them equal. */
const lengths = [2, 5, 3, 7];

/** Reads a model and makes every value that a node computes an output of it. */
function openModel(file: string): { model: Model; values: Value[] } {
  const model = readModel(file);
  for (const node of model.graph.allNodes()) {
    for (const output of node.outputs) if (output !== null) output.type = undefined;
  }
  upgradeGraph(model.graph, model.opset, baseOpset);
  model.opsets.set("", Math.max(model.opset, baseOpset));
  inferModel(model);
  const values = [...model.graph.nodes()].flatMap(({ outputs }) =>
    outputs.filter((output) => output !== null),
  );
  model.graph.setOutputs(values);
  return { model, values };
}

function sizesOf(model: Model): Map<string, number> {
  const names = model.graph.inputs.flatMap((input) => shapeOf(input).flatMap((dim) => [...symbolsOf(dim)]));
  return new Map([...new Set(names)].map((name, index) => [name, lengths[index] ?? 4]));
}

function drawFeeds(model: Model, sizes: ReadonlyMap<string, number>): Environment {
  const random = new Random(7);
  return new Map(
    model.graph.inputs.map((input) => {
      const shape = shapeOf(input).map((dim) => numberOf(dim, sizes));
      const dtype = input.tensorType?.dtype ?? "float32";
      const draw = (): number => {
        if (isFloat(dtype)) return random.normal();
        return /mask/.test(input.name) ? 1 : random.below(/type/.test(input.name) ? 2 : 20);
      };
      const count = shape.reduce((product, dim) => product * dim, 1);
      return [input, fromNumbers(dtype, shape, Array.from({ length: count }, draw))];
    }),
  );
}

function numberOf(dim: Dim, sizes: ReadonlyMap<string, number>): number {
  const size = substituteDim(dim, (name) => sizes.get(name));
  if (typeof size !== "number") throw new Error(`the size ${size.key} is made of something unknown`);
  return size;
}

const unoptimized = { graphOptimizationLevel: "disabled" } as const;

describe.each(files.map((file) => [file.slice(file.indexOf("models/")), file] as const))("%s", (_, file) => {
  test("shape and content of every value are known and true", async () => {
    const { model, values } = openModel(file);
    const sizes = sizesOf(model);
    const arrays = await runModel(model, drawFeeds(model, sizes), unoptimized);
    values.forEach((value, index) => {
      const array = arrays[index];
      expect(
        shapeOf(value).map((dim) => numberOf(dim, sizes)),
        value.name,
      ).toEqual(array?.shape);
      const elements = array?.toNumbers();
      expect(value.content?.map((element) => numberOf(element, sizes)) ?? elements, value.name).toEqual(
        elements,
      );
    });
  });

  test("the evaluator computes what the runtime computes", async () => {
    const { model, values } = openModel(file);
    const feeds = drawFeeds(model, sizesOf(model));
    const wanted = evaluateGraph(model.graph, feeds, { opset: model.opset });
    const got = await runModel(model, feeds, unoptimized);
    const worst = values.flatMap((value, index) => {
      const problem = compare(got[index], wanted[index]);
      return problem === undefined ? [] : [`${value.producer?.op} ${value.name}: ${problem}`];
    });
    expect(worst).toEqual([]);
  });
});

/** Float32 roundings add up over a network, so that they are measured against the largest element. */
function compare(got: NDArray | undefined, wanted: NDArray | undefined): string | undefined {
  if (got === undefined || wanted === undefined) return "missing";
  if (!isFloat(wanted.dtype)) return difference(got, wanted, { absolute: 0, relative: 0 });
  const largest = wanted
    .toNumbers()
    .reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
  return difference(got, wanted, { absolute: 2e-5 * largest, relative: 1e-4 });
}
