/** Operators on text: StringConcat, StringNormalizer, StringSplit, RegexFullMatch, and TfIdfVectorizer, which counts words. */
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, none, refuse } from "../define.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { floats, int, ints, maybeInt, text, texts } from "../params.ts";

const noGradient = none("it works on text, which carries no gradient");

export const StringConcat = defineOp({
  type: "StringConcat",
  versions: [20],
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y])],
  evaluate: refuse("text is left to the runtime"),
  precision: "exact",
  gradient: noGradient,
});

export const RegexFullMatch = defineOp({
  type: "RegexFullMatch",
  versions: [20],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { pattern: text("") },
  infer: ({ in: { x } }) => [tensorType("bool", x.tensorType?.shape)],
  evaluate: refuse("its patterns are those of RE2, which are not those of this language"),
  precision: "exact",
  gradient: noGradient,
});

/** Takes texts out of a row, and changes the case of the others; a row of nothing gives one empty text. */
export const StringNormalizer = defineOp({
  type: "StringNormalizer",
  versions: [10],
  inputs: ["x"],
  ranks: { x: [1, 2] },
  outputs: ["y"],
  attributes: {
    case_change_action: text("NONE"),
    is_case_sensitive: int(0),
    locale: text(""),
    stopwords: texts(),
  },
  infer: ({ in: { x }, attrs: { stopwords } }) => {
    const shape = x.tensorType?.shape;
    if (shape === undefined || (stopwords ?? []).length === 0) return [tensorType("string", shape)];
    return [tensorType("string", shape.with(-1, unknownDim()))];
  },
  evaluate: refuse("case and order of texts depend on the locale of whoever runs the model"),
  precision: "exact",
  gradient: noGradient,
});

/** Cuts each text into at most `maxsplit + 1` pieces, filled up with empty ones; how many each has is the second result. */
export const StringSplit = defineOp({
  type: "StringSplit",
  versions: [20],
  inputs: ["x"],
  outputs: ["y", "count"],
  attributes: { delimiter: text(""), maxsplit: maybeInt() },
  infer: ({ in: { x } }) => {
    const shape = x.tensorType?.shape;
    return [tensorType("string", shape && [...shape, unknownDim()]), tensorType("int64", shape)];
  },
  evaluate: refuse("text is left to the runtime"),
  precision: "exact",
  gradient: noGradient,
});

/** Counts of the n-grams of a pool in each row, weighed as `mode` says. */
export const TfIdfVectorizer = defineOp({
  type: "TfIdfVectorizer",
  versions: [9],
  inputs: ["x"],
  ranks: { x: [1, 2] },
  outputs: ["y"],
  attributes: {
    max_gram_length: maybeInt(),
    max_skip_count: maybeInt(),
    min_gram_length: maybeInt(),
    mode: text(""),
    ngram_counts: ints(),
    ngram_indexes: ints(),
    pool_int64s: ints(),
    pool_strings: texts(),
    weights: floats(),
  },
  infer: ({ in: { x }, attrs: { ngram_indexes: places } }) => {
    const shape = x.tensorType?.shape;
    const width =
      places === undefined ? unknownDim() : 1 + places.reduce((most, at) => Math.max(most, at), -1);
    return [tensorType("float32", shape && [...shape.slice(0, -1), width])];
  },
  evaluate: refuse("counting n-grams is left to the runtime"),
  precision: "exact",
  gradient: none("it counts words or whole numbers, which carry no gradient"),
});
