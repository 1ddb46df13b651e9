/** Conv and ConvTranspose. */
import { checkOp } from "../harness/check-op.ts";
import type { Naming } from "../harness/op-case.ts";

interface Attributes {
  readonly [name: string]: number | string | readonly number[];
  readonly group?: number;
  readonly output_shape?: readonly number[];
}

const double = (shape: readonly number[]) => ({ shape, dtype: "float64" }) as const;
const single = (shape: readonly number[]) => ({ shape });

const convolutions: readonly (readonly [string, readonly number[], readonly number[], Attributes])[] = [
  ["plain", [2, 3, 5, 6], [4, 3, 3, 2], {}],
  ["one element", [2, 3, 4, 4], [5, 3, 1, 1], {}],
  ["padding", [1, 2, 4, 5], [3, 2, 3, 3], { pads: [1, 1, 1, 1] }],
  ["padding that differs", [1, 2, 4, 5], [3, 2, 3, 3], { pads: [0, 2, 1, 0] }],
  ["strides", [1, 2, 7, 7], [3, 2, 3, 3], { strides: [2, 2] }],
  ["strides with a rest", [1, 2, 8, 6], [3, 2, 3, 3], { strides: [3, 2], pads: [1, 1, 1, 1] }],
  ["a long stride", [1, 2, 9, 9], [3, 2, 2, 1], { strides: [4, 3] }],
  ["dilations", [1, 2, 8, 7], [3, 2, 2, 3], { dilations: [3, 2] }],
  [
    "dilations and strides",
    [1, 2, 9, 9],
    [2, 2, 3, 2],
    { dilations: [2, 3], strides: [2, 2], pads: [1, 2, 2, 0] },
  ],
  ["groups", [2, 4, 5, 5], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }],
  ["one group per channel", [2, 3, 5, 5], [3, 1, 3, 3], { group: 3, strides: [2, 2] }],
  ["same, upper", [1, 2, 5, 6], [3, 2, 2, 3], { auto_pad: "SAME_UPPER" }],
  ["same, lower", [1, 2, 5, 6], [3, 2, 2, 3], { auto_pad: "SAME_LOWER", strides: [2, 3] }],
  ["same, upper, strides", [1, 2, 6, 7], [3, 2, 3, 2], { auto_pad: "SAME_UPPER", strides: [2, 2] }],
  ["valid", [1, 2, 6, 7], [3, 2, 3, 2], { auto_pad: "VALID" }],
  ["one dimension", [2, 3, 9], [4, 3, 3], { strides: [2], pads: [1, 0] }],
  ["three dimensions", [1, 2, 4, 3, 5], [2, 2, 2, 2, 3], { strides: [2, 1, 1], pads: [0, 1, 0, 0, 0, 1] }],
  ["nothing", [0, 2, 4, 4], [3, 2, 3, 3], {}],
];
for (const [name, x, w, attributes] of convolutions) {
  const known = { ...attributes, kernel_shape: w.slice(2) };
  // The gradient of the weight sums over the batch as if over channels; of none, the runtime leaves memory as it was.
  const uninitialised = x.includes(0) ? { noGradientRuntime: "no channels to sum over" } : {};
  checkOp(
    name,
    { op: "Conv", inputs: [x, w, [w[0] ?? 1]].map(single), attributes: known },
    { namings: namingsOf(attributes), ...uninitialised },
  );
  checkOp(
    name,
    { op: "Conv", inputs: [x, w].map(double), attributes },
    { noRuntime: "no kernel", namings: ["static"] },
  );
}

const transposed: readonly (readonly [string, readonly number[], readonly number[], Attributes])[] = [
  ["plain", [2, 3, 4, 3], [3, 4, 3, 2], {}],
  ["strides", [1, 2, 3, 4], [2, 3, 3, 2], { strides: [2, 3] }],
  ["padding", [1, 2, 4, 4], [2, 3, 3, 3], { pads: [1, 1, 1, 1] }],
  ["padding that differs", [1, 2, 4, 4], [2, 3, 3, 3], { pads: [1, 0, 0, 2], strides: [2, 2] }],
  [
    "output padding",
    [1, 2, 3, 3],
    [2, 3, 3, 3],
    { strides: [2, 3], output_padding: [1, 2], pads: [1, 1, 1, 1] },
  ],
  ["dilations", [1, 2, 3, 3], [2, 3, 2, 3], { dilations: [2, 2] }],
  ["groups", [2, 4, 3, 3], [4, 3, 2, 2], { group: 2, strides: [2, 2] }],
  ["same, upper", [1, 2, 3, 4], [2, 3, 3, 3], { auto_pad: "SAME_UPPER", strides: [2, 2] }],
  ["same, lower", [1, 2, 3, 4], [2, 3, 3, 3], { auto_pad: "SAME_LOWER", strides: [2, 2] }],
  ["an output shape", [1, 2, 3, 3], [2, 3, 3, 3], { output_shape: [6, 5], strides: [2, 2] }],
  ["one dimension", [2, 3, 4], [3, 2, 3], { strides: [2], pads: [1, 0] }],
  ["three dimensions", [1, 2, 2, 3, 2], [2, 2, 2, 2, 2], { strides: [2, 1, 2] }],
];
for (const [name, x, w, attributes] of transposed) {
  const channels = (w[1] ?? 1) * Number(attributes.group ?? 1);
  checkOp(
    name,
    {
      op: "ConvTranspose",
      inputs: [x, w, [channels]].map(single),
      attributes: { ...attributes, kernel_shape: w.slice(2) },
    },
    { namings: attributes.output_shape === undefined ? namingsOf(attributes) : ["static"] },
  );
}

/** Groups need to know how many channels there are. */
function namingsOf(attributes: Attributes): readonly Naming[] {
  return attributes.group === undefined ? ["static", "shared", "separate"] : ["static"];
}
