/** Attaching: modules right behind each other, several calls of one module, and what else reads their results. */
import { describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { attachAdapter } from "../../src/adapt/attach.ts";
import { findSites } from "../../src/analysis/sites.ts";
import type { Model } from "../../src/ir/model.ts";
import { withRole } from "../../src/ir/role.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";

/** A text with every site adapted by `ia3`, whose factors double what a module yields. */
function doubled(text: string): Model {
  const model = parseModel(text);
  inferModel(model);
  const adapter = bindAdapter("ia3", { target_modules: ".*" });
  attachAdapter(model.graph, adapter, findSites(model.graph), { opset: model.opset, seed: 0 });
  verifyModel(model);
  return model;
}

/** Outputs for x = (1, 10), with all factors at the given value. */
function run({ graph, opset }: Model, factor: number): number[][] {
  const feeds = new Map(
    graph.inputs.map((input) => {
      const shape = (input.tensorType?.shape ?? []).map(Number);
      const isParam = withRole(graph.inputs, "param").includes(input);
      const size = shape.reduce((product, dim) => product * dim, 1);
      const values = isParam ? new Array<number>(size).fill(factor) : [1, 10];
      return [input, fromNumbers("float32", shape, values)] as const;
    }),
  );
  return evaluateGraph(graph, feeds, { opset }).map((array) => array.toNumbers());
}

const weight = (name: string): string => `float[2,2] "${name}" = {1, 0, 0, 1}`;

describe("attachAdapter", () => {
  it("lets a module right behind another one read what that one yields adapted", () => {
    const model = doubled(`f (float[1,2] x) => (float[1,2] y) <${weight("a.weight")}, ${weight("b.weight")}> {
      h = MatMul (x, "a.weight")
      y = MatMul (h, "b.weight")
    }`);
    expect(run(model, 1)).toEqual([[1, 10]]);
    expect(run(model, 2)).toEqual([[4, 40]]);
  });

  it("the same in feed-forward form, which applies the base module to other inputs", () => {
    const model =
      parseModel(`f (float[1,2] x) => (float[1,2] y) <${weight("a.weight")}, ${weight("b.weight")}> {
      h = MatMul (x, "a.weight")
      y = MatMul (h, "b.weight")
    }`);
    inferModel(model);
    const adapter = bindAdapter("ia3", { target_modules: ["a", "b"], feedforward_modules: ["b"] });
    attachAdapter(model.graph, adapter, findSites(model.graph), { opset: model.opset, seed: 0 });
    expect(run(model, 3)).toEqual([[9, 90]]);
  });

  it("shares the parameters of a module that is called twice", () => {
    const model = doubled(`f (float[1,2] x) => (float[1,2] y) <${weight("fc.weight")}> {
      ["/fc/MatMul"] h = MatMul (x, "fc.weight")
      ["/fc/MatMul_1"] y = MatMul (h, "fc.weight")
    }`);
    expect(withRole(model.graph.inputs, "param").map(({ name }) => name)).toEqual([
      "base_model.model.fc.ia3_l",
    ]);
    expect(run(model, 2)).toEqual([[4, 40]]);
  });

  it("takes over every reader of a module, outputs of the graph with their names included", () => {
    const model = doubled(`f (float[1,2] x) => (float[1,2] y, float[1,2] z) <
      ${weight("fc.weight")}, float[2] "fc.bias" = {1, 1}
    > {
      a = MatMul (x, "fc.weight")
      y = Add (a, "fc.bias")
      z = Neg (y)
    }`);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(["y", "z"]);
    expect(run(model, 2)).toEqual([
      [4, 22],
      [-4, -22],
    ]);
  });
});
