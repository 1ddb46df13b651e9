/** Convolutions of com.microsoft. */
import { describe, expect, test } from "vitest";
import type { AttributeLike } from "../../src/ir/attribute.ts";
import { permuteAxes } from "../../src/ops/kernels/rearrange.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { checkOp } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { buildCase, evaluateCase, type OpCase } from "../harness/op-case.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

const domain = "com.microsoft";
const namings = ["static", "shared"] as const;
const floats = (...value: readonly number[]): AttributeLike => ({ kind: "floats", value });
const x = { shape: [2, 4, 5, 6] };
const w = { shape: [3, 4, 3, 2] };
const bias = { shape: [3] };
const noRuntime = "the CPU has no such kernel";

for (const [activation, params] of [
  ["", undefined],
  ["Relu", undefined],
  ["Tanh", undefined],
  ["Sigmoid", undefined],
  ["LeakyRelu", floats(0.1)],
  ["HardSigmoid", floats(0.2, 0.5)],
  ["HardSwish", undefined],
  ["Clip", floats(-2, 1.5)],
] as const) {
  const attributes = {
    ...(activation === "" ? {} : { activation }),
    ...(params === undefined ? {} : { activation_params: params }),
    pads: [1, 0, 1, 1],
    strides: [2, 1],
  };
  const z = { shape: [2, 3, 3, 6] };
  for (const inputs of [
    [x, w],
    [x, w, bias],
    [x, w, bias, z],
    [x, w, null, z],
  ]) {
    const spec = { op: "FusedConv", domain, inputs, attributes };
    checkOp(`${activation}, ${inputs.length} operands`, spec, { namings });
  }
}
// The gradient of a grouped convolution needs the number of channels.
checkOp(
  "groups and dilations",
  {
    op: "FusedConv",
    domain,
    inputs: [x, { shape: [6, 2, 2, 2] }, { shape: [6] }],
    attributes: { group: 2, dilations: [2, 1], activation: "Relu" },
  },
  { namings: ["static"] },
);

const last = { shape: [2, 5, 6, 4] };
const placed = { pads: [1, 0, 1, 1], strides: [2, 1] };
checkOp(
  "channels last",
  { op: "NhwcConv", domain, inputs: [last, { shape: [3, 3, 2, 4] }, bias], attributes: placed },
  { namings, noRuntime },
);
checkOp(
  "channels last, groups",
  { op: "NhwcConv", domain, inputs: [last, { shape: [6, 2, 2, 2] }], attributes: { group: 2 } },
  { namings: ["static"], noRuntime },
);
checkOp(
  "channels last",
  {
    op: "NhwcFusedConv",
    domain,
    inputs: [last, w, bias, { shape: [2, 3, 6, 3] }],
    attributes: { ...placed, activation: "Tanh" },
  },
  { namings, noRuntime },
);
checkOp(
  "channels last, whole numbers",
  {
    op: "NhwcMaxPool",
    domain,
    inputs: [{ shape: [1, 4, 5, 3], dtype: "int8", range: [-100, 100] }],
    attributes: { kernel_shape: [2, 3], strides: [2, 1], pads: [0, 1, 0, 1] },
  },
  { namings },
);

describe("channels last is Conv between two transpositions", () => {
  const draw = (shape: readonly number[], step: number): NDArray =>
    fromNumbers(
      "float32",
      shape,
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * step)),
    );
  const run = (op: string, operands: readonly NDArray[], own: string): NDArray => {
    const inputs = operands.map((array) => ({ shape: array.shape, values: array.toNumbers() }));
    const spec: OpCase = { op, domain: own, inputs, attributes: placed };
    const [result] = evaluateCase(buildCase(spec, "static"));
    if (result === undefined) throw new Error("no result");
    return result;
  };
  const [image, weights] = [draw([2, 4, 5, 6], 0.7), draw([3, 4, 3, 2], 1.3)];
  const toLast = (array: NDArray): NDArray => permuteAxes(array, [0, 2, 3, 1]);
  const wanted = toLast(run("Conv", [image, weights], ""));

  test.each([
    ["NhwcConv", [toLast(image), toLast(weights)]],
    ["NhwcFusedConv", [toLast(image), weights]],
  ] as const)("%s", (op, operands) => {
    expect(difference(run(op, operands, domain), wanted, runtimeTolerance("float32"))).toBeUndefined();
  });
});

test("an activation that the runtime does not fuse is refused", () => {
  const spec = { op: "FusedConv", domain, inputs: [x, w], attributes: { activation: "Elu" } };
  expect(() => buildCase(spec, "static")).toThrow(/"activation"/);
});
