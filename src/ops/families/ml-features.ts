/** Preparation of features in ai.onnx.ml: ArrayFeatureExtractor, FeatureVectorizer, Imputer, Normalizer, Scaler. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { float32Tensor, int64Tensor } from "../../ir/constant.ts";
import { unknownDim } from "../../ir/dim.ts";
import { isFloat } from "../../ir/dtype.ts";
import { countElements, staticShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { featureRows, rowCount } from "../kernels/ml-scores.ts";
import { requireAttribute, requireOneOf } from "../kernels/require-attribute.ts";
import { counts, float, floats, int, ints, text } from "../params.ts";

const domain = "ai.onnx.ml";
const versions = [1];

/** Elements at given places of the last axis; a vector gives one row. */
export const ArrayFeatureExtractor = defineOp({
  type: "ArrayFeatureExtractor",
  domain,
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x, y } }) => {
    const [type, places] = [x.tensorType, staticShape(y.tensorType?.shape)];
    if (type?.shape === undefined) return [type];
    const count = places === undefined ? unknownDim() : countElements(places);
    return [tensorType(type.dtype, type.shape.length === 1 ? [1, count] : type.shape.with(-1, count))];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, y }, b }) => {
      const rows = rankOf(x) === 1 ? b.unsqueeze(x, [0]) : x;
      return [b.gather(rows, b.reshape(y, [-1]), rankOf(rows) - 1)];
    },
  },
});

/** All operands as float32 rows beside each other, each cut or filled with zeros to its length in `inputdimensions`. */
export const FeatureVectorizer = defineOp({
  type: "FeatureVectorizer",
  domain,
  versions,
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: { inputdimensions: ints(counts) },
  infer: ({ in: { xs }, attrs: { inputdimensions } }) => {
    const width = inputdimensions?.reduce((sum, size) => sum + size, 0);
    const [first] = xs;
    return [
      tensorType("float32", [first === undefined ? unknownDim() : rowCount(first), width ?? unknownDim()]),
    ];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { xs }, attrs, b }) => {
      const widths = requireAttribute(node, "inputdimensions", attrs.inputdimensions);
      if (widths.length !== xs.length)
        throw operatorErrors.E_BAD_ATTRIBUTE(
          node,
          "inputdimensions",
          `${xs.length} lengths`,
          `${widths.length}`,
        );
      return [
        b.concat(
          xs.map((x, index) => fitColumns(b, featureRows(b, x), widths[index] ?? 0)),
          1,
        ),
      ];
    },
  },
});

/** The first `width` columns, zeros where there are fewer. */
function fitColumns(b: OpBuilder, rows: Value, width: number): Value {
  if (rows.tensorType?.shape?.[1] === width) return rows;
  const padded = b.op("Pad", [rows, b.constant(int64Tensor([0, 0, 0, width]))]);
  return b.slice(padded, { starts: [0], ends: [width], axes: [1] });
}

/**
 * Puts another value, one for all or one for each feature of the last axis, where elements equal `replaced_value`. The
 * derivative is 1 at elements that stay and 0 at others.
 */
export const Imputer = defineOp({
  type: "Imputer",
  domain,
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    imputed_value_floats: floats(),
    imputed_value_int64s: ints(),
    replaced_value_float: float(0),
    replaced_value_int64: int(0),
  },
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const dtype = dtypeOf(x);
      const { imputed_value_floats: real, imputed_value_int64s: whole } = attrs;
      const values = isFloat(dtype)
        ? b.constant(float32Tensor(requireAttribute(node, "imputed_value_floats", real)))
        : b.constant(int64Tensor(requireAttribute(node, "imputed_value_int64s", whole)));
      const sought = isFloat(dtype) ? attrs.replaced_value_float : attrs.replaced_value_int64;
      const found = Number.isNaN(sought) ? b.op("IsNaN", [x]) : b.equal(x, sought);
      return [b.where(found, b.castLike(values, x), x)];
    },
  },
});

/** Each row over its largest element (MAX), the sum of its sizes (L1) or its length (L2); rows without any stay. */
export const Normalizer = defineOp({
  type: "Normalizer",
  domain,
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: { norm: text("MAX") },
  infer: ({ in: { x } }) => [tensorType("float32", x.tensorType?.shape)],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs: { norm }, b }) => {
      requireOneOf(node, "norm", norm, Object.keys(reductions));
      const floats = b.cast(x, "float32");
      const size = b.op(reductions[norm] ?? "", [floats, b.ints([-1])], { keepdims: 1 });
      return [b.div(floats, b.where(b.equal(size, 0), 1, size))];
    },
  },
});

const reductions: Readonly<Record<string, string>> = { MAX: "ReduceMax", L1: "ReduceL1", L2: "ReduceL2" };

/** `(x - offset) scale`, each one number or one for each feature. */
export const Scaler = defineOp({
  type: "Scaler",
  domain,
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: { offset: floats(), scale: floats() },
  infer: ({ in: { x } }) => [tensorType("float32", x.tensorType?.shape)],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const offset = requireAttribute(node, "offset", attrs.offset);
      const scale = requireAttribute(node, "scale", attrs.scale);
      if (Math.max(offset.length, scale.length) > 1 && rankOf(x) > 2) {
        const expected = "one number for operands of more than two axes";
        throw operatorErrors.E_BAD_ATTRIBUTE(node, "scale", expected, `${scale.length} numbers`);
      }
      const vector = (values: readonly number[]): Value => b.constant(float32Tensor(values));
      return [b.mul(b.sub(b.cast(x, "float32"), vector(offset)), vector(scale))];
    },
  },
});
