/** Operators of ai.onnx.ml on maps, which only they read and make: CastMap, DictVectorizer, ZipMap. */

import { unknownDim } from "../../ir/dim.ts";
import type { dtypes } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, none, refuse } from "../define.ts";
import { counts, int, ints, text, texts } from "../params.ts";

const domain = "ai.onnx.ml";
const evaluate = refuse("maps are left to the runtime");
const opaque = none(
  "it works on a map, and no operator could write the gradient of one: differentiate by what is behind it, or leave it out of the loss",
);

const castTypes: Readonly<Record<string, (typeof dtypes)[number]>> = {
  TO_FLOAT: "float32",
  TO_STRING: "string",
  TO_INT64: "int64",
};

/** The values of a map in the order of its keys, or each at the place that its key is. */
export const CastMap = defineOp({
  type: "CastMap",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { cast_to: text("TO_FLOAT"), map_form: text("DENSE"), max_map: int(1, counts) },
  infer: ({ attrs }) => [
    tensorType(castTypes[attrs.cast_to] ?? "float32", [
      1,
      attrs.map_form === "SPARSE" ? attrs.max_map : unknownDim(),
    ]),
  ],
  evaluate,
  precision: "exact",
  gradient: opaque,
});

/** The values of a map at the places that a vocabulary gives their keys. */
export const DictVectorizer = defineOp({
  type: "DictVectorizer",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { int64_vocabulary: ints(), string_vocabulary: texts() },
  infer: ({ in: { x }, attrs }) => {
    const value = x.type?.kind === "map" ? x.type.value : undefined;
    const count = attrs.string_vocabulary?.length || attrs.int64_vocabulary?.length || 0;
    return [value?.kind === "tensor" ? tensorType(value.dtype, [1, count]) : undefined];
  },
  evaluate,
  precision: "exact",
  gradient: opaque,
});

/** A map from labels to scores for each row of scores. */
export const ZipMap = defineOp({
  type: "ZipMap",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["z"],
  attributes: { classlabels_int64s: ints(), classlabels_strings: texts() },
  infer: ({ attrs }) => {
    const key = attrs.classlabels_strings?.length ? "string" : "int64";
    return [{ kind: "sequence", element: { kind: "map", key, value: tensorType("float32", []) } }];
  },
  evaluate,
  precision: "exact",
  gradient: opaque,
});
