/** Operators of ai.onnx.ml that turn features into codes: Binarizer, OneHotEncoder, LabelEncoder, CategoryMapper. */
import type { DType } from "../../ir/dtype.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp, none, refuse, zero } from "../define.ts";
import { mapNumbers } from "../kernels/elementwise.ts";
import { fromNumbers } from "../ndarray.ts";
import { float, floats, int, ints, tensor, text, texts } from "../params.ts";

const domain = "ai.onnx.ml";

/** 1 above the threshold, else 0. */
export const Binarizer = defineOp({
  type: "Binarizer",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { threshold: float(0) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ in: { x }, attrs: { threshold } }) => [
    mapNumbers(x, (value) => (value > threshold ? 1 : 0), { exact: false }),
  ],
  precision: "exact",
  gradient: zero("the result is 0 or 1, constant on either side of the threshold"),
});

/** A 1 at the place of the element in the list of categories; floats are cut to whole numbers. */
export const OneHotEncoder = defineOp({
  type: "OneHotEncoder",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { cats_int64s: ints(), cats_strings: texts(), zeros: int(1) },
  infer: ({ in: { x }, attrs }) => {
    const count = attrs.cats_int64s?.length || attrs.cats_strings?.length || 0;
    const shape = x.tensorType?.shape;
    return [tensorType("float32", shape === undefined ? undefined : [...shape, count])];
  },
  evaluate: ({ in: { x }, attrs }) => {
    const categories: readonly (number | string)[] = attrs.cats_int64s?.length
      ? attrs.cats_int64s
      : (attrs.cats_strings ?? []);
    const keys = x.dtype === "string" ? Array.from(x.data, String) : x.toNumbers().map(Math.trunc);
    const rows = keys.flatMap((key) => categories.map((category) => (category === key ? 1 : 0)));
    return [fromNumbers("float32", [...x.shape, categories.length], rows)];
  },
  precision: "exact",
  gradient: zero("the result is 0 or 1, constant between categories"),
});

/** The value that stands beside the element in two lists, or a default. */
export const LabelEncoder = defineOp({
  type: "LabelEncoder",
  domain,
  versions: [1, 2, 4],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    default_float: float(0),
    default_int64: int(-1),
    default_string: text("_Unused"),
    default_tensor: tensor(),
    keys_floats: floats(),
    keys_int64s: ints(),
    keys_strings: texts(),
    keys_tensor: tensor(),
    values_floats: floats(),
    values_int64s: ints(),
    values_strings: texts(),
    values_tensor: tensor(),
  },
  infer: ({ node, in: { x }, attrs }) => [
    tensorType(encodedType(x, attrs, node.attributes.has("classes_strings")), x.tensorType?.shape),
  ],
  evaluate: refuse("encoding by tables is left to the runtime"),
  precision: "exact",
  gradient: zero("the result is taken from a list, constant between its keys"),
});

/** The place of a text in a list, or the text at a place. */
export const CategoryMapper = defineOp({
  type: "CategoryMapper",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    cats_int64s: ints(),
    cats_strings: texts(),
    default_int64: int(-1),
    default_string: text("_Unused"),
  },
  infer: ({ in: { x } }) => [tensorType(otherKind(x), x.tensorType?.shape)],
  evaluate: refuse("encoding by tables is left to the runtime"),
  precision: "exact",
  gradient: none("it maps between text and whole numbers, neither of which carries a gradient"),
});

/** Type of what a LabelEncoder gives; its first version maps between text and the places of a list of texts. */
function encodedType(
  x: Value,
  values: {
    readonly values_tensor: Tensor | undefined;
    readonly values_strings: readonly string[] | undefined;
    readonly values_floats: readonly number[] | undefined;
  },
  first: boolean,
): DType {
  if (first) return otherKind(x);
  if (values.values_tensor !== undefined) return values.values_tensor.dtype;
  if (values.values_strings?.length) return "string";
  return values.values_floats?.length ? "float32" : "int64";
}

function otherKind(x: Value): DType {
  return x.tensorType?.dtype === "string" ? "int64" : "string";
}
