/** Clip. */
import { describe, expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import { evaluateCase, type OperandSpec } from "../harness/op-case.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const x: OperandSpec = { shape: [3, 5], kinks: [-1, 0.5] };
const bound = (value: number, constant = true): OperandSpec => ({ shape: [], values: [value], constant });

checkOp("both bounds", { op: "Clip", inputs: [x, bound(-1), bound(0.5)] });
checkOp("computed bounds", { op: "Clip", inputs: [x, bound(-1, false), bound(0.5, false)] });
checkOp("only a lower bound", { op: "Clip", inputs: [x, bound(-1, false)] });
checkOp("only an upper bound", { op: "Clip", inputs: [x, null, bound(0.5, false)] });
checkOp("no bound", { op: "Clip", inputs: [x] });
checkOp("bounds that cross", { op: "Clip", inputs: [x, bound(0.5, false), bound(-1, false)] });
checkOp("int64", {
  op: "Clip",
  inputs: [
    { shape: [6], dtype: "int64", range: [-9, 9] },
    { shape: [], dtype: "int64", values: [-3] },
    { shape: [], dtype: "int64", values: [4] },
  ],
});

describe("at its bounds, as PyTorch", () => {
  test("the operand gets the gradient, the bounds nothing", () => {
    const inputs = [{ shape: [2], values: [-1, 0.5] }, bound(-1, false), bound(0.5, false)];
    expect(gradientAt({ op: "Clip", inputs })).toEqual([[1, 1], [0], [0]]);
  });
  test("a bound gets the gradients of the elements that it replaced", () => {
    const inputs = [{ shape: [4], values: [-3, -2, 0, 9] }, bound(-1, false), bound(0.5, false)];
    expect(gradientAt({ op: "Clip", inputs })).toEqual([[0, 0, 1, 0], [2], [1]]);
  });
  test("bounds that cross: everything is the upper one", () => {
    const inputs = [{ shape: [2], values: [2, -2] }, bound(1, false), bound(-1, false)];
    expect(gradientAt({ op: "Clip", inputs })).toEqual([[0, 0], [0], [2]]);
  });
});

describe("upgrade from attributes", () => {
  test.each([
    [{ min: floatAttribute(-1), max: floatAttribute(0.5) }, [-1, 0.25, 0.5]],
    [{ min: floatAttribute(-1) }, [-1, 0.25, 7]],
    [{ max: floatAttribute(0.5) }, [-9, 0.25, 0.5]],
    [{}, [-9, 0.25, 7]],
  ])("%j", (attributes, expected) => {
    const built = upgradedCase({
      op: "Clip",
      opset: 7,
      attributes,
      inputs: [{ shape: [3], values: [-9, 0.25, 7] }],
    });
    expect(evaluateCase(built)[0]?.toNumbers()).toEqual(expected);
    expect([...(built.outputs[0]?.producer?.attributes.keys() ?? [])]).toEqual([]);
  });
});
