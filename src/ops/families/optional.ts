/** Optionals: values that may be missing. The gradient by one is the gradient by what it holds. */
import { tensorType } from "../../ir/type.ts";
import { defineOp, zero } from "../define.ts";
import { fromNumbers } from "../ndarray.ts";
import { valueType } from "../params.ts";
import { EmptyOptional } from "../sequence-array.ts";

export const Optional = defineOp({
  type: "Optional",
  versions: [15, 28],
  inputs: ["x?"],
  outputs: ["y"],
  attributes: { type: valueType() },
  infer: ({ in: { x }, attrs }) => {
    const element = x === undefined ? attrs.type : x.type;
    return [element && { kind: "optional", element }];
  },
  evaluate: ({ in: { x } }) => [x ?? new EmptyOptional()],
  precision: "full",
  gradient: ({ grad }) => ({ x: () => grad.y }),
});

export const OptionalGetElement = defineOp({
  type: "OptionalGetElement",
  versions: [15, 18, 28],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type?.kind === "optional" ? x.type.element : x.type],
  evaluate: ({ in: { x } }) => [x],
  precision: "full",
  gradient: ({ grad }) => ({ x: () => grad.y }),
});

export const OptionalHasElement = defineOp({
  type: "OptionalHasElement",
  versions: [15, 18, 28],
  inputs: ["x?"],
  outputs: ["y"],
  attributes: {},
  infer: () => [tensorType("bool", [])],
  evaluate: ({ in: { x } }) => [
    fromNumbers("bool", [], [x === undefined || x instanceof EmptyOptional ? 0 : 1]),
  ],
  precision: "full",
  gradient: zero("whether something is there is a truth value"),
});
