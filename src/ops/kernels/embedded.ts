/** The embeddings of BERT, summed and normalized: what EmbedLayerNormalization and its quantised form share. */
import { floatAttribute } from "../../ir/attribute.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { countTo } from "./heads.ts";

/** Operands as floats; ids, segments and positions are places in the tables. */
export interface Embeddings {
  readonly ids: Value;
  readonly segments: Value | undefined;
  readonly words: Value;
  readonly places: Value;
  readonly segmentTable: Value | undefined;
  readonly positions: Value | undefined;
  readonly gamma: Value;
  readonly beta: Value;
  readonly mask: Value | undefined;
}

/** Types of the normalized embeddings, of the lengths of sequences, and of the sum before it is normalized. */
export function inferEmbedded(
  dtype: DType | undefined,
  ids: Value,
  words: Value,
): (TensorType | undefined)[] {
  const [shape, width] = [ids.tensorType?.shape, words.tensorType?.shape?.[1]];
  const whole = shape === undefined || width === undefined ? undefined : [...shape, width];
  const y = dtype && tensorType(dtype, whole);
  return [y, tensorType("int32", shape?.slice(0, 1)), y];
}

/** The normalized embeddings, the lengths of sequences where somebody reads them, and the sum. */
export function embedNormalized(
  b: OpBuilder,
  node: Node,
  embeddings: Embeddings,
  epsilon: number,
): (Value | null)[] {
  const { ids, gamma, beta, mask } = embeddings;
  const sum = addEmbeddings(b, embeddings);
  const y = b.op("LayerNormalization", [sum, gamma, beta], { axis: -1, epsilon: floatAttribute(epsilon) });
  return [y, node.outputs[1] == null ? null : lengths(b, ids, mask), sum];
}

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
