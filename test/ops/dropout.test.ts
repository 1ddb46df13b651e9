/** Dropout: the identity, and in training mode a mask that forward and backward share. */
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { InternalError } from "../../src/diagnostics/define.ts";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const x: OperandSpec = { shape: [3, 4] };
checkOp("inference", { op: "Dropout", inputs: [x] });
checkOp("inference with a mask", {
  op: "Dropout",
  outputs: 2,
  inputs: [x, { shape: [], values: [0.3], constant: true }],
});
checkOp("training mode off", {
  op: "Dropout",
  outputs: 2,
  inputs: [
    x,
    { shape: [], values: [0.3], constant: true },
    { shape: [], dtype: "bool", values: [0], constant: true },
  ],
});
checkOp("training mode off at run time", {
  op: "Dropout",
  inputs: [x, { shape: [], values: [0.3], constant: true }, { shape: [], dtype: "bool", values: [0] }],
});

describe("training mode", () => {
  const wide: OperandSpec = { shape: [40, 25], range: [0.5, 2] };
  const ratio: OperandSpec = { shape: [], values: [0.3], constant: true };
  const training = (constant: boolean): OpCase => ({
    op: "Dropout",
    inputs: [wide, ratio, { shape: [], dtype: "bool", values: [1], constant }],
  });

  test("is not evaluated", () => {
    expect(() => evaluateCase(buildCase(training(true), "static"))).toThrow(InternalError);
  });

  test.each([true, false])(
    "the gradient passes the mask of the forward run (mode known: %s)",
    async (constant) => {
      const { model, opset, feeds, variables, outputs } = buildCase(training(constant), "static");
      const { graph } = model;
      const [x] = variables;
      const [y] = outputs;
      const point = x === undefined ? undefined : feeds.get(x);
      if (x === undefined || y === undefined || point === undefined)
        throw new Error("the case has lost its operand");
      // The gradient of the result is the operand itself, so that the gradient of the operand equals the result.
      const [gradient] = differentiate(graph, [{ value: y, gradient: x }], variables, opset);
      if (gradient === undefined) throw new Error("no gradient");
      gradient.name = "gradient";
      graph.addOutput(gradient);
      const [forward, backward] = await runModel(model, feeds);
      expect(backward?.toNumbers()).toEqual(forward?.toNumbers());
      const kept = forward?.toNumbers().filter((value, i) => {
        if (value !== 0) expect(value / (point.numbers[i] ?? 0)).toBeCloseTo(1 / 0.7, 5);
        return value !== 0;
      });
      expect((kept?.length ?? 0) / point.size).toBeGreaterThan(0.6);
      expect((kept?.length ?? 0) / point.size).toBeLessThan(0.8);
    },
  );
});

describe("upgrades of Dropout", () => {
  test.each([7, 10])("opset %s: the ratio becomes an operand", (opset) => {
    const built = upgradedCase({ op: "Dropout", opset, attributes: { ratio: float(0.25) }, inputs: [x] });
    const node = built.outputs[0]?.producer;
    expect(node?.attributes.size).toBe(0);
    expect(node?.inputs).toHaveLength(2);
    expect(evaluateCase(built)).toHaveLength(1);
  });
  test("opset 7: a mask that is read keeps the type of the data", () => {
    const built = upgradedCase({ op: "Dropout", opset: 7, outputs: 2, inputs: [x] });
    expect(evaluateCase(built).map(({ dtype }) => dtype)).toEqual(["float32", "float32"]);
  });
  test.each([7, 10])("opset %s: a mask is filled with zeros, as the runtime has it", (opset) => {
    const built = upgradedCase({ op: "Dropout", opset, outputs: 2, inputs: [x] });
    const [, mask] = evaluateCase(built);
    expect(mask?.numbers.every((flag) => flag === 0)).toBe(true);
  });
});
