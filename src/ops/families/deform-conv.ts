/** DeformConv: a convolution whose windows read at places of their own. */
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { deformConv } from "../kernels/deformed.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { planWindows } from "../kernels/window.ts";
import { int, ints } from "../params.ts";

/**
 * Deformable convolution (ONNX DeformConv 22; Dai et al., 2017; with `mask` Zhu et al., 2019) of `x [N, C, ...]`, with
 * `offset [N, offset_group * taps * r, ...]` and `mask [N, offset_group * taps, ...]`.
 */
export const DeformConv = defineOp({
  type: "DeformConv",
  versions: [19, 22],
  inputs: ["x", "w", "offset", "bias?", "mask?"],
  ranks: { bias: 1 },
  outputs: ["y"],
  attributes: {
    dilations: ints(),
    group: int(1),
    kernel_shape: ints(),
    offset_group: int(1),
    pads: ints(),
    strides: ints(),
  },
  infer: ({ in: { x, w }, attrs }) => {
    const type = x.tensorType;
    const [from, weights] = [type?.shape, w.tensorType?.shape];
    const kernel = attrs.kernel_shape ?? weights?.slice(2);
    if (type === undefined || from === undefined || kernel === undefined)
      return [type && tensorType(type.dtype)];
    const windows = planWindows({ ...attrs, auto_pad: "NOTSET" }, kernel, from.slice(2));
    const spatial = windows.map(({ output }) => output);
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
