/** Passes take graphs of 100,000 nodes: no recursion over chains, no step that looks at the whole graph for each node. */
import { describe, expect, it } from "vitest";
import canonicalize from "../../passes/canonicalize.ts";
import cse from "../../passes/cse.ts";
import dce from "../../passes/dce.ts";
import fold from "../../passes/fold.ts";
import foldShapes from "../../passes/fold-shapes.ts";
import inferShapes from "../../passes/infer-shapes.ts";
import inlineFunctions from "../../passes/inline-functions.ts";
import liftConstants from "../../passes/lift-constants.ts";
import upgradeOpset from "../../passes/upgrade-opset.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { symbol } from "../../src/ir/dim.ts";
import { Model } from "../../src/ir/model.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { runPipeline } from "../../src/pass/manager.ts";

const length = 100_000;
const registry = [
  ...[canonicalize, cse, dce, fold, foldShapes, inferShapes, inlineFunctions, liftConstants, upgradeOpset],
];

/** A chain of `length` nodes over one input; `step` appends a node. */
function chain(step: (b: OpBuilder, x: Value, index: number) => Value, opset = 20): Model {
  const model = new Model({ opsets: [["", opset]] });
  const x = model.graph.addInput({ name: "x", type: tensorType("float32", [symbol("n"), 4]) });
  const b = new OpBuilder({ graph: model.graph }, opset);
  let value = x;
  for (let index = 0; index < length; index++) value = step(b, value, index);
  model.graph.addOutput(value);
  return model;
}

const run = (model: Model, pipeline: string) => runPipeline(model, pipeline, { registry, verifyEach: true });

describe("chains of 100,000 nodes", () => {
  it("go through every pass unchanged where there is nothing to do", () => {
    const model = chain((b, x, index) => (index % 2 === 0 ? b.add(x, 1) : b.exp(x)));
    const { steps } = run(
      model,
      "infer-shapes,canonicalize,cse,fold,fold-shapes,lift-constants,dce,inline-functions",
    );
    expect(steps.filter(({ changed }) => changed).map(({ pass }) => pass)).toEqual([]);
    expect(model.graph.size).toBe(length);
  });

  it("are dropped as a whole by canonicalize", () => {
    const model = chain((b, x, index) => (index % 2 === 0 ? b.mul(x, 1) : b.div(x, 1)));
    run(model, "canonicalize");
    expect([...model.graph.nodes()].map(({ op }) => op)).toEqual(["Identity"]);
  });

  it("are merged with their copy by cse", () => {
    const model = chain((b, x) => b.sub(x, 1));
    const b = new OpBuilder({ graph: model.graph }, 20);
    let value = model.graph.inputs[0];
    for (let index = 0; value !== undefined && index < length; index++) value = b.sub(value, 1);
    if (value !== undefined) model.graph.addOutput(b.neg(value));
    const { steps } = run(model, "cse{scalars=true}");
    expect(steps[0]?.statistics).toEqual({ nodes: length, constants: 1 });
  });

  it("are removed by dce where nothing reads them", () => {
    const model = chain((b, x) => b.exp(x));
    model.graph.setOutputs(model.graph.inputs);
    const { steps } = run(model, "dce");
    expect(steps[0]?.statistics).toEqual({ nodes: length });
  });

  it("are folded and lifted where they are constant", () => {
    const model = chain((b, x) => b.neg(x));
    const [x] = model.graph.inputs;
    const start = model.graph.addInitializer(float32Tensor([2], []));
    x?.replaceUses(start);
    for (const node of model.graph.nodes()) node.output(0).type = undefined;
    run(model, "infer-shapes,fold{work=1000000000}");
    expect(model.graph.size).toBe(1);
    expect(model.graph.first?.op).toBe("Identity");
  });

  it("are upgraded", () => {
    const model = chain((b, x) => b.exp(x), 13);
    run(model, "upgrade-opset");
    expect(model.opset).toBe(20);
  });
});
