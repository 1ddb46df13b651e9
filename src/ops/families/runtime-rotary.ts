/** RotaryEmbedding of com.microsoft: as that of ai.onnx, with positions that may be an offset alone. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { rotatePairs } from "../kernels/rotary.ts";
import { amounts, float, int } from "../params.ts";

export const RuntimeRotaryEmbedding = defineOp({
  type: "RotaryEmbedding",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "positions", "cosines", "sines"],
  ranks: { x: [3, 4], positions: [1, 2], cosines: 2, sines: 2 },
  outputs: ["y"],
  // No kernel reads `scale`; ragged batches are computed like others.
  attributes: {
    interleaved: int(0),
    is_packed_batching: int(0),
    num_heads: int(0, amounts),
    rotary_embedding_dim: int(0, amounts),
    scale: float(1),
  },
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  parts: partsOfFirstAxis,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, positions, cosines, sines }, attrs, b }) => {
      const flat = rankOf(x) === 3;
      const heads = flat ? b.reshape(x, headShape(node, cosines, attrs)) : x;
      const places = rankOf(positions) === 1 ? fromOffset(b, positions, b.dim(x, flat ? 1 : 2)) : positions;
      // [batch or 1, length, columns], with an axis of one head.
      const table = (values: Value): Value => b.unsqueeze(b.gather(values, places), [flat ? 2 : 1]);
      const turned = rotatePairs(
        b,
        heads,
        { cosine: table(cosines), sine: table(sines) },
        { interleaved: attrs.interleaved === 1, size: attrs.rotary_embedding_dim },
      );
      return [flat ? b.reshape(turned, b.shape(x)) : turned];
    },
  },
});

/** Batch, length, heads, channels. */
function headShape(
  node: Node,
  cosines: Value,
  attrs: { readonly num_heads: number; readonly rotary_embedding_dim: number },
): readonly number[] {
  if (attrs.num_heads > 0) return [0, 0, attrs.num_heads, -1];
  // Without a count of heads all channels turn, and the tables have a column for each pair.
  const columns = dimOf(cosines, 1);
  if (typeof columns !== "number")
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of channels of a head");
  return [0, 0, -1, 2 * columns];
}

/** `offset, offset + 1, ...` as one row. */
function fromOffset(b: OpBuilder, offset: Value, length: Value): Value {
  const steps = b.op("Range", [b.int(0), length, b.int(1)]);
  return b.unsqueeze(b.add(steps, b.cast(offset, "int64")), [0]);
}
