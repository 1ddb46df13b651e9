/** CausalConvWithState and LinearAttention of com.microsoft: those of ai.onnx with more options. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { floorDivDims, mulDims, subDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { linearAttention } from "../kernels/linear-attention.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { shapeVector, sizeAt } from "../kernels/shape-vector.ts";
import { amounts, counts, float, int, text } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];

export const RuntimeCausalConvWithState = defineOp({
  type: "CausalConvWithState",
  domain,
  versions,
  inputs: ["x", "w", "bias?", "past?"],
  ranks: { x: 3, w: 3, bias: 1, past: 3 },
  outputs: ["y", "present"],
  attributes: {
    activation: text("none"),
    channels_last: int(0),
    dilation: int(1, counts),
    ndim: int(1),
    state_window: int(0, amounts),
  },
  infer: ({ in: { x, w }, attrs: { dilation, channels_last, ndim, state_window } }) => {
    const type = x.tensorType;
    const [batch = unknownDim(), channels = unknownDim()] = type?.shape ?? [];
    if (type === undefined || channels_last !== 0 || ndim !== 1 || state_window !== 0) return [type];
    const width = subDims(w.tensorType?.shape?.[2] ?? unknownDim(), 1);
    return [type, tensorType(type.dtype, [batch, channels, mulDims(width, dilation)])];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, w, bias, past }, attrs, b }) => {
      if (attrs.channels_last !== 0 || attrs.ndim !== 1)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "channels last or several axes",
          "channels first along one axis",
        );
      refuseWindow(node, attrs.state_window);
      requireOneOf(node, "activation", attrs.activation, ["none", "silu", "swish"]);
      const [channels, width] = [dimOf(w, 0), dimOf(w, 2)];
      if (typeof channels !== "number" || typeof width !== "number")
        throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of channels and the width of the kernel");
      const state = [sizeAt(x, 0), channels, (width - 1) * attrs.dilation];
      const before = past ?? b.expand(b.scalar(0, dtypeOf(x)), shapeVector(b, state));
      const whole = b.concat([before, x], 2);
      const y = b.op("Conv", [whole, w, bias ?? null], { group: channels, dilations: [attrs.dilation] });
      const first = b.unsqueeze(b.dim(x, 2), [0]);
      const present = b.op("Slice", [whole, first, b.ints([Number.MAX_SAFE_INTEGER]), b.ints([2])]);
      return [attrs.activation === "none" ? y : b.mul(y, b.op("Sigmoid", [y])), present];
    },
  },
});

export const RuntimeLinearAttention = defineOp({
  type: "LinearAttention",
  domain,
  versions,
  inputs: ["q", "k", "v", "past?", "decay?", "beta?"],
  outputs: ["y", "present"],
  attributes: {
    // Only a hint of how to compute.
    chunk_size: int(64, counts),
    kv_num_heads: int(0, amounts),
    q_num_heads: int(0, amounts),
    scale: float(0),
    state_window: int(0, amounts),
    update_rule: text("gated_delta"),
  },
  infer: ({ in: { q, k, v, past }, attrs: { kv_num_heads: heads, q_num_heads, state_window } }) => {
    const [type, shape] = [q.tensorType, q.tensorType?.shape];
    if (type === undefined) return [];
    const [batch = unknownDim(), length = unknownDim()] = shape ?? [];
    const [keys, values] = [k, v].map((x) =>
      floorDivDims(x.tensorType?.shape?.[2] ?? unknownDim(), Math.max(1, heads)),
    );
    if (keys === undefined || values === undefined || state_window !== 0) return [tensorType(type.dtype)];
    return [
      tensorType(type.dtype, [batch, length, mulDims(values, Math.max(heads, q_num_heads))]),
      tensorType(past?.tensorType?.dtype ?? type.dtype, [batch, heads, keys, values]),
    ];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      refuseWindow(node, attrs.state_window);
      const { kv_num_heads: heads, q_num_heads: queryHeads, scale, update_rule: rule } = attrs;
      return linearAttention(b, node, operands, { heads, queryHeads, scale, rule });
    },
  },
});

function refuseWindow(node: Node, states: number): void {
  if (states !== 0)
    throw operatorErrors.E_OPERATOR_FORM(node, `a window of ${states} states`, "the last state alone");
}
