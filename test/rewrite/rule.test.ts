/** Patterns, conditions and the driver, on graphs that are built by hand. */
import { describe, expect, expectTypeOf, it } from "vitest";
import { InternalError } from "../../src/diagnostics/define.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Model } from "../../src/ir/model.ts";
import type { Node } from "../../src/ir/node.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { rewriteModel, ruleKey } from "../../src/rewrite/driver.ts";
import { nodeRule, type Rule, rule } from "../../src/rewrite/rule.ts";

/** A model over inputs `x` and `y` of shape [2, 3]; `build` gives its outputs. */
function modelOf(build: (b: OpBuilder, x: Value, y: Value) => Value | readonly Value[]): Model {
  const model = new Model();
  const type = tensorType("float32", [2, 3]);
  const [x, y] = [model.graph.addInput({ name: "x", type }), model.graph.addInput({ name: "y", type })];
  const outputs = build(new OpBuilder({ graph: model.graph }, model.opset), x, y);
  for (const output of [outputs].flat()) model.graph.addOutput(output);
  verifyModel(model);
  return model;
}

const opsOf = (model: Model): string => [...model.graph.nodes()].map(({ op }) => op).join(" ");

function rewrite(model: Model, ...rules: Rule[]) {
  const report = rewriteModel(model, rules);
  verifyModel(model);
  return report;
}

const expOfLog = rule("exp-of-log", { match: (p) => p.Exp(p.Log(p.x)), build: ({ x }) => x });

describe("patterns", () => {
  it("bind values and attributes with their types", () => {
    rule("typed", {
      match: (p) => p.Concat(p.Transpose(p.x, { perm: p.a }), p.rest(p.parts), { axis: p.t }),
      when: (bindings) => {
        expectTypeOf(bindings.x).toEqualTypeOf<Value>();
        expectTypeOf(bindings.a).toEqualTypeOf<readonly number[] | undefined>();
        expectTypeOf(bindings.parts).toEqualTypeOf<readonly Value[]>();
        expectTypeOf(bindings.t).toEqualTypeOf<number | undefined>();
        // @ts-expect-error: the pattern has no such name
        return bindings.z;
      },
      build: ({ x }) => x,
    });
  });

  it("match commutative operands in either order, others in theirs", () => {
    const addLog = rule("add-log", {
      match: (p) => p.Add(p.Log(p.x), p.y),
      build: ({ x, y }, b) => b.sub(x, y),
    });
    const subLog = rule("sub-log", {
      match: (p) => p.Sub(p.Log(p.x), p.y),
      build: ({ x, y }, b) => b.add(x, y),
    });
    const model = modelOf((b, x, y) => [b.add(y, b.log(x)), b.sub(y, b.log(x)), b.sub(b.log(x), y)]);
    expect([...rewrite(model, addLog, subLog).applied]).toEqual([
      ["add-log", 1],
      ["sub-log", 1],
    ]);
    expect(opsOf(model)).toBe("Sub Log Sub Add");
  });

  it("match the same name only with the same value", () => {
    const square = rule("square", { match: (p) => p.Mul(p.x, p.x), build: ({ x }, b) => b.pow(x, 2) });
    const model = modelOf((b, x, y) => [b.mul(x, x), b.mul(x, y)]);
    rewrite(model, square);
    expect(opsOf(model)).toBe("Pow Mul");
  });

  it("match numbers with constants all of whose elements they equal", () => {
    const halve = rule("halve", { match: (p) => p.Mul(p.x, 0.5), build: ({ x }, b) => b.div(x, 2) });
    const model = modelOf((b, x) => [
      b.mul(x, 0.5),
      b.mul(b.constant(float32Tensor([0.5, 0.5, 0.5])), x),
      b.mul(x, b.constant(float32Tensor([0.5, 0.5, 0.25]))),
      b.mul(x, 0.25),
    ]);
    rewrite(model, halve);
    expect(opsOf(model)).toBe("Div Div Mul Mul");
  });

  it("match attributes by value, and absent ones by the operator's default", () => {
    const first = rule("first-axis", {
      match: (p) => p.Softmax(p.x, { axis: 0 }),
      build: ({ x }, b) => b.op("LogSoftmax", [x], { axis: 0 }),
    });
    const model = modelOf((b, x) => [b.op("Softmax", [x], { axis: 0 }), b.op("Softmax", [x], { axis: 1 })]);
    rewrite(model, first);
    expect(opsOf(model)).toBe("LogSoftmax Softmax");
    const leaky = rule("leaky", {
      match: (p) => p.LeakyRelu(p.x, { alpha: 0.01 }),
      build: ({ x }, b) => b.abs(x),
    });
    const other = modelOf((b, x) => [
      b.op("LeakyRelu", [x]),
      b.op("LeakyRelu", [x], { alpha: { kind: "float", value: 0.5 } }),
    ]);
    rewrite(other, leaky);
    expect(opsOf(other)).toBe("Abs LeakyRelu");
  });

  it("ask for operands that are left out, constant, or read once", () => {
    const lower = rule("lower-only", {
      match: (p) => p.Clip(p.once(p.Exp(p.x)), p.constant(p.min), p.absent),
      build: ({ x, min }, b) => b.max(x, min),
    });
    const model = modelOf((b, x, y) => {
      const shared = b.exp(y);
      const zero = b.scalar(0, "float32");
      return [
        b.op("Clip", [b.exp(x), zero]),
        b.op("Clip", [b.exp(x), zero, zero]),
        b.op("Clip", [shared, zero]),
        shared,
      ];
    });
    expect(rewrite(model, lower).applied.get("lower-only")).toBe(1);
    expect(opsOf(model)).toBe("Exp Max Exp Clip Clip");
  });

  it("refuse words that mean nothing", () => {
    const bad = () =>
      rule("bad", { match: (p) => Reflect.get(p, "Nonsense"), build: (_, __, root) => root.output() });
    expect(bad).toThrow(/internal: "Nonsense" is no operator/);
    expect(() => rule("Bad Name", { match: (p) => p.Abs(p.x), build: ({ x }) => x })).toThrow(InternalError);
  });
});

describe("the driver", () => {
  it("keeps the names of outputs and the order of nodes", () => {
    const model = modelOf((b, x, y) => {
      const z = b.exp(b.log(b.add(x, y)));
      z.name = "promised";
      return z;
    });
    rewrite(model, expOfLog);
    expect(opsOf(model)).toBe("Add");
    expect(model.graph.outputs[0]?.name).toBe("promised");
    const through = modelOf((b, x) => b.exp(b.log(x)));
    rewrite(through, expOfLog);
    expect(opsOf(through)).toBe("Identity");
  });

  it("gives new nodes the metadata of the root and the name of the rule", () => {
    const model = modelOf((b, x, y) => b.mul(x, y));
    model.graph.first?.metadata.set("module", "layer.0");
    rewrite(model, rule("to-div", { match: (p) => p.Mul(p.x, p.y), build: ({ x, y }, b) => b.div(x, y) }));
    expect(Object.fromEntries(model.graph.first?.metadata ?? [])).toEqual({
      module: "layer.0",
      [ruleKey]: "to-div",
    });
  });

  it("counts refusals by reason and tells of no change", () => {
    const never = rule("never", { match: (p) => p.Exp(p.x), when: () => "not today", build: ({ x }) => x });
    const model = modelOf((b, x) => b.exp(b.exp(x)));
    const report = rewrite(model, never);
    expect(report).toMatchObject({ changed: false, converged: true });
    expect([...report.refused]).toEqual([["never: not today", 2]]);
  });

  it("stops at its bound and says so", () => {
    const flip = rule("flip", { match: (p) => p.Add(p.x, p.y), build: ({ x, y }, b) => b.add(y, x) });
    const model = modelOf((b, x, y) => b.add(x, y));
    expect(rewriteModel(model, [flip], { limit: 7 })).toMatchObject({ converged: false, changed: true });
    verifyModel(model);
  });

  it("declines where a further result of the root is read", () => {
    const drop = nodeRule("drop", {
      roots: ["TopK"],
      when: () => true,
      build: (node) => node.input(0) ?? node.output(),
    });
    const model = modelOf((b, x) => b.ops("TopK", [x, b.ints([2])], {}, 2));
    expect([...rewrite(model, drop).refused]).toEqual([["drop: a further result is read", 1]]);
  });

  it("throws where a rule changes a type", () => {
    const wrong = rule("wrong", { match: (p) => p.Exp(p.x), build: ({ x }, b) => b.equal(x, x) });
    const model = modelOf((b, x) => b.exp(x));
    expect(() => rewriteModel(model, [wrong])).toThrow(
      /rule "wrong" turns float32\[2, 3\] into bool\[2, 3\]/,
    );
  });

  it("takes chains of 100,000 nodes without recursion", () => {
    const model = modelOf((b, x) => {
      let value = x;
      for (let i = 0; i < 50_000; i++) value = b.exp(b.log(value));
      return b.neg(value);
    });
    expect(rewrite(model, expOfLog).applied.get("exp-of-log")).toBe(50_000);
    const remaining: Node[] = [...model.graph.nodes()];
    expect(remaining.map(({ op }) => op)).toEqual(["Neg"]);
  });
});
