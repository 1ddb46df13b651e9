/** EmbedLayerNormalization of com.microsoft: the embeddings of BERT, summed and normalized. */
import { defineOp } from "../define.ts";
import { embedNormalized, inferEmbedded } from "../kernels/embedded.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { float, int } from "../params.ts";

export const EmbedLayerNormalization = defineOp({
  type: "EmbedLayerNormalization",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["ids", "segments?", "words", "places", "segmentTable?"] as const),
    ...(["gamma", "beta", "mask?", "positions?"] as const),
  ],
  ranks: {
    ...{ ids: 2, segments: 2, words: 2, places: 2, segmentTable: 2 },
    ...{ gamma: 1, beta: 1, mask: [1, 2], positions: 2 },
  },
  outputs: ["y", "lengths?", "sum?"],
  // `mask_index_type` chooses a type of the lengths that no kernel has.
  attributes: { epsilon: float(1e-12), mask_index_type: int(0) },
  infer: ({ in: { ids, words } }) => inferEmbedded(words.tensorType?.dtype, ids, words),
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs: { epsilon }, b }) => embedNormalized(b, node, operands, epsilon),
  },
});
