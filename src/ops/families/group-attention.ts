/** GroupQueryAttention of com.microsoft, the attention of models that generate text. */
import { type Dim, floorDivDims, maxDims, mulDims, unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { attendGroups, type GroupOperands, type GroupOptions } from "../kernels/group-attention.ts";
import { amounts, float, int, text } from "../params.ts";
import type { Inferred } from "../record.ts";

export const GroupQueryAttention = defineOp({
  type: "GroupQueryAttention",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["query", "key?", "value?", "pastKey?", "pastValue?", "lengths", "total"] as const),
    ...(["cosines?", "sines?", "positions?", "bias?", "sinks?"] as const),
    ...(["keyScale?", "valueScale?", "queryNorm?", "keyNorm?"] as const),
  ],
  ranks: {
    ...{ query: 3, key: 3, value: 3, pastKey: 4, pastValue: 4, lengths: [1, 2], total: [0, 1] },
    ...{ cosines: 2, sines: 2, positions: 2, bias: 4 },
  },
  outputs: ["y", "presentKey?", "presentValue?", "scores?"],
  attributes: {
    causal: int(1),
    do_rotary: int(0),
    k_quant_type: text("NONE"),
    kv_cache_bit_width: int(0),
    kv_num_heads: int(0, amounts),
    local_window_size: int(-1),
    num_heads: int(0, amounts),
    qk_norm_epsilon: float(1e-6),
    qk_output: int(0),
    rotary_interleaved: int(0),
    scale: float(0),
    sliding_window_cache: int(0),
    smooth_softmax: int(-1),
    softcap: float(0),
    v_quant_type: text("NONE"),
  },
  infer: ({ in: operands, attrs }) => inferGroups(operands, attrs),
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      const results = attendGroups(b, node, operands, attrs);
      return node.outputs.map((output, index) => (output === null ? null : (results[index] ?? null)));
    },
  },
  hostInputs: ["total"],
});

function inferGroups(operands: GroupOperands, attrs: GroupOptions): Inferred[] {
  const type = operands.query.tensorType;
  const [batch, length, width] = type?.shape ?? [];
  if (type === undefined) return [];
  const cache = operands.pastKey?.tensorType?.dtype ?? type.dtype;
  if (batch === undefined || length === undefined || width === undefined)
    return [type.dtype, cache, cache, type.dtype].map((dtype) => tensorType(dtype));
  const { num_heads: count, kv_num_heads: shared } = attrs;
  const size = floorDivDims(width, operands.key === undefined ? count + 2 * shared : count);
  const keys = cacheLength(operands, length);
  const present = tensorType(cache, [batch, shared, keys, size]);
  return [
    tensorType(type.dtype, [batch, length, operands.key === undefined ? mulDims(count, size) : width]),
    present,
    present,
    tensorType(type.dtype, [batch, count, length, keys]),
  ];
}

/** Keys in the cache after the call: as many as there are, or as the old cache has room for. */
function cacheLength({ pastKey, total }: GroupOperands, length: Dim): Dim {
  if (pastKey === undefined) return length;
  const room = pastKey.tensorType?.shape?.[2];
  if (room === 0) return length;
  const known = total.content?.[0];
  return room === undefined || known === undefined ? unknownDim() : maxDims(room, known);
}
