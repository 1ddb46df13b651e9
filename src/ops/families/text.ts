/** Operators on text: StringConcat and RegexFullMatch. */
import { tensorType } from "../../ir/type.ts";
import { defineOp, none, refuse } from "../define.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { text } from "../params.ts";

const noGradient = none("it works on text, which carries no gradient");

export const StringConcat = defineOp({
  type: "StringConcat",
  versions: [20],
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x, y } }) => [inferBroadcast([x, y])],
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
