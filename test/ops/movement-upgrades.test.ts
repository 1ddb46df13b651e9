/** Upgrades of operators whose attributes became operands: the old model in the runtime against the upgraded one. */
import { describe, expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { opOf } from "../../src/ops/registry.ts";
import { isCurrent } from "../../src/ops/versions.ts";
import { difference } from "../harness/compare.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const x: OperandSpec = { shape: [2, 1, 4] };
const square: OperandSpec = { shape: [3, 3] };
const index: OperandSpec = { shape: [2, 2], dtype: "int64", values: [0, 1, 2, 0] };

const cases: readonly OpCase[] = [
  ...[7, 11, 12].flatMap((opset) => [
    { op: "Squeeze", opset, inputs: [x], attributes: { axes: [1] } },
    { op: "Squeeze", opset, inputs: [x] },
    { op: "Unsqueeze", opset, inputs: [x], attributes: { axes: [0, 2] } },
    { op: "Split", opset, inputs: [x], attributes: { axis: 2, split: [1, 3] }, outputs: 2 },
    { op: "Split", opset, inputs: [x], attributes: { axis: 2 }, outputs: 2 },
  ]),
  { op: "Split", opset: 13, inputs: [x], attributes: { axis: 2 }, outputs: 2 },
  { op: "Slice", opset: 7, inputs: [x], attributes: { starts: [0, 1], ends: [1, -1], axes: [0, 2] } },
  { op: "Slice", opset: 9, inputs: [x], attributes: { starts: [1, 0, -3], ends: [2, 1, 100] } },
  { op: "Pad", opset: 7, inputs: [x], attributes: { pads: [1, 0, 2, 0, 1, 0] } },
  { op: "Pad", opset: 10, inputs: [x], attributes: { pads: [1, 0, 2, 0, 1, 0], value: floatAttribute(2.5) } },
  { op: "Pad", opset: 10, inputs: [x], attributes: { pads: [0, 0, 2, 0, 0, 1], mode: "reflect" } },
  { op: "TopK", opset: 9, inputs: [x], attributes: { k: 2, axis: -1 }, outputs: 2 },
  {
    op: "TopK",
    opset: 10,
    inputs: [x, { shape: [1], dtype: "int64", values: [2], constant: true }],
    outputs: 2,
  },
  { op: "Scatter", opset: 9, inputs: [square, index, { shape: [2, 2] }], attributes: { axis: 1 } },
  { op: "DepthToSpace", opset: 10, inputs: [{ shape: [1, 4, 2, 3] }], attributes: { blocksize: 2 } },
  { op: "GatherND", opset: 11, inputs: [square, index] },
  { op: "Gather", opset: 7, inputs: [square, index] },
];

describe.each(
  cases.map(
    (spec) => [`${spec.op} of opset ${spec.opset} ${JSON.stringify(spec.attributes ?? {})}`, spec] as const,
  ),
)("%s", (_, spec) => {
  test("means the same after the upgrade", async () => {
    const old = buildCase(spec, "static");
    const wanted = await runModel(old.model, old.feeds);
    const got = evaluateCase(upgradedCase(spec));
    expect(got.length).toBe(wanted.length);
    got.forEach((array, i) => {
      const expected = wanted[i];
      if (expected === undefined) throw new Error(`output ${i} is missing`);
      expect(difference(array, expected, runtimeTolerance(expected.dtype))).toBeUndefined();
    });
  });

  test("leaves nodes of the current meaning", () => {
    for (const node of upgradedCase(spec).model.graph.nodes()) {
      const op = opOf(node);
      expect(op !== undefined && isCurrent(op, 20)).toBe(true);
      for (const name of node.attributes.keys())
        expect(Object.keys(op?.attributes ?? {}), node.op).toContain(name);
    }
  });
});
