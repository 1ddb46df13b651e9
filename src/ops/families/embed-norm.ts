/** EmbedLayerNormalization of com.microsoft: the embeddings of BERT, summed and normalized. */
import { floatAttribute } from "../../ir/attribute.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { countTo } from "../kernels/heads.ts";
import { float, int } from "../params.ts";

interface Embeddings {
  readonly ids: Value;
  readonly segments: Value | undefined;
  readonly words: Value;
  readonly places: Value;
  readonly segmentTable: Value | undefined;
  readonly positions: Value | undefined;
}

export const EmbedLayerNormalization = defineOp({
  type: "EmbedLayerNormalization",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["ids", "segments?", "words", "places", "segmentTable?"] as const),
    ...(["gamma", "beta", "mask?", "positions?"] as const),
  ],
  outputs: ["y", "lengths?", "sum?"],
  // `mask_index_type` chooses a type of the lengths that no kernel has.
  attributes: { epsilon: float(1e-12), mask_index_type: int(0) },
  infer: ({ in: { ids, words } }) => {
    const [shape, width] = [ids.tensorType?.shape, words.tensorType?.shape?.[1]];
    const dtype = words.tensorType?.dtype;
    const whole = shape === undefined || width === undefined ? undefined : [...shape, width];
    const y = dtype && tensorType(dtype, whole);
    return [y, tensorType("int32", shape?.slice(0, 1)), y];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs: { epsilon }, b }) => {
      const { gamma, beta, mask, ids } = operands;
      const sum = addEmbeddings(b, operands);
      const y = b.op("LayerNormalization", [sum, gamma, beta], {
        axis: -1,
        epsilon: floatAttribute(epsilon),
      });
      return [y, node.outputs[1] == null ? null : lengths(b, ids, mask), sum];
    },
  },
});

function addEmbeddings(b: OpBuilder, embeddings: Embeddings): Value {
  const { ids, segments, words, places, segmentTable, positions } = embeddings;
  const word = b.gather(words, ids);
  const sum = b.add(word, b.gather(places, positions ?? countTo(b, b.dim(ids, 1))));
  return segments === undefined || segmentTable === undefined
    ? sum
    : b.add(sum, b.gather(segmentTable, segments));
}

/** How many tokens of each sequence the mask keeps; 0 where there is no mask. */
function lengths(b: OpBuilder, ids: Value, mask: Value | undefined): Value {
  const flags = mask === undefined ? b.fillLike(ids, 0, "int32") : b.cast(b.equal(mask, 1), "int32");
  return b.reduceSum(flags, [1], false);
}
