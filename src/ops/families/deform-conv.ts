/** DeformConv: a convolution whose windows read at places of their own. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { mulDims, unknownDim } from "../../ir/dim.ts";
import { sizeOf } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { deformConv } from "../kernels/deformed.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { requireWindowAxes } from "../kernels/require-window.ts";
import { planWindows } from "../kernels/window.ts";
import { amounts, counts, int, ints } from "../params.ts";

/** Each element of a window is read by operators of its own. */
const largestKernel = 2 ** 12;

/**
 * Deformable convolution (ONNX DeformConv 22; Dai et al., 2017; with `mask` Zhu et al., 2019) of `x [N, C, ...]`, with
 * `offset [N, offset_group * taps * r, ...]` and `mask [N, offset_group * taps, ...]`.
 */
export const DeformConv = defineOp({
  type: "DeformConv",
  versions: [19, 22],
  inputs: ["x", "w", "offset", "bias?", "mask?"],
  ranks: { x: [3], w: [3], offset: [3], bias: 1, mask: [3] },
  outputs: ["y"],
  attributes: {
    dilations: ints(counts),
    group: int(1, counts),
    kernel_shape: ints(counts),
    offset_group: int(1, counts),
    pads: ints(amounts),
    strides: ints(counts),
  },
  infer: ({ node, in: { x, w, offset, bias, mask }, attrs }) => {
    const type = x.tensorType;
    const [from, weights] = [type?.shape, w.tensorType?.shape];
    const kernel = attrs.kernel_shape ?? weights?.slice(2);
    if (type === undefined || from === undefined || kernel === undefined)
      return [type && tensorType(type.dtype)];
    const axes = from.length - 2;
    requireWindowAxes(node, attrs, axes);
    const windows = planWindows({ ...attrs, auto_pad: "NOTSET" }, kernel, from.slice(2));
    const spatial = windows.map(({ output }) => output);
    const [taps, places] = [sizeOf(kernel), mulDims(sizeOf(kernel), attrs.offset_group)];
    const parts = typeof from[1] === "number" ? from[1] % attrs.offset_group : 0;
    if (parts !== 0)
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        "offset_group",
        `a divisor of ${from[1]} channels`,
        `${attrs.offset_group}`,
      );
    requireShape(node, "w", w, [
      undefined,
      undefined,
      ...(attrs.kernel_shape ?? spatial.map(() => undefined)),
    ]);
    const perGroup = weights?.[1] === undefined ? undefined : mulDims(weights[1], attrs.group);
    requireShape(node, "x", x, [undefined, perGroup, ...spatial.map(() => undefined)]);
    requireShape(node, "offset", offset, [from[0], mulDims(places, axes), ...spatial]);
    requireShape(node, "mask", mask, [from[0], places, ...spatial]);
    requireShape(node, "bias", bias, [weights?.[0]]);
    if (typeof taps === "number" && taps > largestKernel)
      throw operatorErrors.E_BAD_OPERAND(
        node,
        "w",
        `at most ${largestKernel} elements in a window`,
        `${taps}`,
      );
    return [tensorType(type.dtype, [from[0] ?? unknownDim(), weights?.[0] ?? unknownDim(), ...spatial])];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, w, offset, bias, mask }, attrs, b }) => [
      deformConv(b, node, { x, w, offset, bias, mask }, attrs),
    ],
  },
});
