/** A linear layer that is the whole model, adapted by a method whose tensors are set by hand. */
import { bindAdapter } from "../../passes/adapt.ts";
import { attachAdapter } from "../../src/adapt/attach.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { mergeJobs } from "../../src/compile/merge.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, fromTensor } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";

export interface OneLayer {
  readonly inputs: number;
  readonly outputs: number;
  /** (out, in), row-major. */
  readonly weight: readonly number[];
  readonly bias: readonly number[];
  readonly method: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Element `i` of a trained tensor, whose key has neither prefix nor path; left out: starting values. */
  readonly fill?: (key: string, i: number) => number;
}

/** Output of the adapted layer for one row, and the merged `weight` and `bias`, those that change. */
export function runOneLayer(
  layer: OneLayer,
  row: readonly number[],
): { y: number[]; merged: ReadonlyMap<string, number[]> } {
  const model = readLayer(layer);
  const { graph, opset } = model;
  const adapter = bindAdapter(layer.method, { ...layer.options, target_modules: ["fc"] });
  attachAdapter(graph, adapter, findSites(graph), { opset, seed: 0 });
  verifyModel(model);
  const tensors = new Map<string, Tensor>();
  for (const value of [...graph.inputs, ...graph.initializers]) {
    const key = roleFact(value, "key");
    if (key === undefined || value.initializer === undefined) continue;
    if (roleOf(value) === "param") value.initializer = filled(value.initializer, key, layer.fill);
    tensors.set(key, value.initializer);
  }
  const feeds = new Map(
    graph.inputs.map((input) => [
      input,
      input.initializer === undefined
        ? fromNumbers("float32", [1, row.length], row)
        : fromTensor(input.initializer),
    ]),
  );
  const [y] = evaluateGraph(graph, feeds, { opset });
  const merged = new Map<string, number[]>();
  for (const job of mergeJobs(adapter, findSites(readLayer(layer).graph), tensors, opset)) {
    const results = evaluateGraph(job.model.graph, new Map(), { opset });
    job.model.graph.outputs.forEach(({ name }, i) => {
      merged.set(name, results[i]?.toNumbers() ?? []);
    });
  }
  return { y: y?.toNumbers() ?? [], merged };
}

function readLayer({ inputs, outputs, weight, bias }: OneLayer): Model {
  const model = parseModel(`f (float[1,${inputs}] x) => (float[1,${outputs}] y) <
    float[${outputs},${inputs}] "fc.weight" = {${weight.join()}}, float[${outputs}] "fc.bias" = {${bias.join()}}
  > {
    y = Gemm <transB = 1> (x, "fc.weight", "fc.bias")
  }`);
  inferModel(model);
  return model;
}

function filled(start: Tensor, key: string, fill: OneLayer["fill"]): Tensor {
  if (fill === undefined) return start;
  const own = key.replace(/^base_model\.(model\.fc\.)?/, "");
  return float32Tensor(
    Array.from({ length: start.size }, (_, i) => fill(own, i)),
    start.dims,
  );
}
