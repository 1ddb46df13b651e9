/** Exported models compute the same, bit for bit, after the pipeline that every model goes through first. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import { assignNames } from "../../src/ir/names.ts";
import type { Value } from "../../src/ir/value.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";

const fixtures = join(import.meta.dirname, "../../fixtures");
const folders = [
  "models/stories260k",
  ...["bert", "gpt2", "llama", "smallconv", "t5", "vit"].map((name) => `oracles/models/${name}`),
];
const files = folders.flatMap((folder) =>
  readdirSync(join(fixtures, folder))
    .filter((name) => name.endsWith(".onnx"))
    .map((name) => `${folder}/${name}`),
);

/** Sizes of the axes that are open; the models have these names. */
function sizeOf(axis: string, run: number): number {
  return axis.startsWith("batch") ? 1 + run : 4 + 3 * run;
}

/** Whole numbers below 7 (2 for types of tokens), masks of ones with a last column of zeros, floats between -1 and 1. */
function arrayFor(input: Value, run: number): NDArray {
  const type = input.tensorType;
  const shape = type?.shape?.map((dim) => (typeof dim === "number" ? dim : sizeOf(dim.key, run)));
  if (type === undefined || shape === undefined) throw new Error(`input "${input.name}" has no type`);
  const count = shape.reduce((product, dim) => product * dim, 1);
  const last = shape.at(-1) ?? 1;
  const element = (i: number): number => {
    if (input.name.includes("mask")) return i % last === last - 1 && i > last ? 0 : 1;
    if (input.name.includes("type")) return i % 2;
    return type.dtype === "float32" ? Math.sin(i * 1.7 + run) : (i * 5 + run) % 7;
  };
  return fromNumbers(
    type.dtype,
    shape,
    Array.from({ length: count }, (_, i) => element(i)),
  );
}

const shapeOperators = new Set([
  "Shape",
  "Gather",
  "Concat",
  "Slice",
  "Cast",
  "Unsqueeze",
  "Squeeze",
  "Equal",
  "Where",
]);

/** Nodes that compute with sizes: Shape and what only shape vectors go through. */
function countShapeNodes(graph: Graph): number {
  const nodes = [...graph.nodes()].filter(({ op }) => shapeOperators.has(op));
  return nodes.filter((node) => node.op === "Shape" || node.outputs.every((output) => output?.content))
    .length;
}

async function run(model: Model, index: number): Promise<NDArray[]> {
  assignNames(model, { nodes: true });
  const feeds = new Map(model.graph.inputs.map((input) => [input, arrayFor(input, index)]));
  // The runtime's own fusions depend on the form of the graph, and round differently.
  return runModel(model, feeds, { graphOptimizationLevel: "disabled" });
}

describe("models after the first passes", () => {
  it.each(files)("%s", async (file) => {
    const model = readModel(join(fixtures, file));
    const wanted = [await run(model, 0), await run(model, 1)];
    runPasses(model, preparePipeline, { verifyEach: true });
    for (const [index, outputs] of wanted.entries()) {
      const found = await run(model, index);
      expect(found.map(({ shape }) => shape)).toEqual(outputs.map(({ shape }) => shape));
      found.forEach((array, i) => void expect(array.data).toEqual(outputs[i]?.data));
    }
    expect(runPasses(model, "infer-shapes,canonicalize,fold,fold-shapes,cse,dce").changed).toBe(false);
  });

  it("have little shape arithmetic left: 6 to 8 nodes of 242 in what the tracing exporter makes of a Llama", () => {
    const model = readModel(join(fixtures, "models/stories260k/model.onnx"));
    runPasses(model, "upgrade-opset,infer-shapes");
    expect(countShapeNodes(model.graph)).toBeGreaterThan(200);
    runPasses(model, preparePipeline);
    expect(countShapeNodes(model.graph)).toBeLessThanOrEqual(8);
  });

  it("are all there", () => {
    expect(files.length).toBeGreaterThanOrEqual(20);
  });
});
