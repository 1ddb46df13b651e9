/** Operators of ai.onnx.ml: values against the runtime, gradients of those that have one. */
import { expect, test } from "vitest";
import type { AttributeLike } from "../../src/ir/attribute.ts";
import { Graph } from "../../src/ir/graph.ts";
import { formatType, tensorType, type ValueType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "ai.onnx.ml";
const floats = (...value: number[]): AttributeLike => ({ kind: "floats", value });
const strings = (...value: string[]): AttributeLike => ({ kind: "strings", value });
const float = (value: number): AttributeLike => ({ kind: "float", value });

const rows: OperandSpec = { shape: [4, 3] };
const row: OperandSpec = { shape: [3] };
const doubles: OperandSpec = { shape: [4, 3], dtype: "float64" };
const whole: OperandSpec = { shape: [4, 3], dtype: "int64", range: [-3, 3] };
const none: OperandSpec = { shape: [0, 3] };
const transforms = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"];

const check = (
  description: string,
  op: string,
  inputs: readonly OperandSpec[],
  attributes: Readonly<Record<string, AttributeLike>>,
  outputs = 1,
): void => {
  checkOp(description, { op, domain, domainVersion: 3, inputs, attributes, outputs });
};

const places: OperandSpec = { shape: [1, 3], dtype: "int64", values: [2, 0, 2] };
check("picks columns, one twice", "ArrayFeatureExtractor", [rows, places], {});
check("picks from a vector", "ArrayFeatureExtractor", [row, places], {});
check("picks from the last of three axes", "ArrayFeatureExtractor", [{ shape: [2, 2, 3] }, places], {});

check("puts operands beside each other", "FeatureVectorizer", [rows, { shape: [4, 2] }], {
  inputdimensions: [3, 2],
});
check("cuts and fills", "FeatureVectorizer", [rows, { shape: [4, 2] }], { inputdimensions: [2, 4] });
check("takes vectors", "FeatureVectorizer", [row, { shape: [2] }], { inputdimensions: [3, 2] });
check("takes whole numbers", "FeatureVectorizer", [whole], { inputdimensions: [3] });
check("takes doubles", "FeatureVectorizer", [doubles], { inputdimensions: [3] });

const gaps: OperandSpec = { shape: [2, 3], values: [1, -1, 2, -1, 0.5, -1] };
const holes: OperandSpec = { shape: [2, 3], values: [1, Number.NaN, 2, Number.NaN, 0.5, 3] };
const one = { imputed_value_floats: floats(9), replaced_value_float: float(-1) };
const each = { imputed_value_floats: floats(7, 8, 9), replaced_value_float: float(-1) };
checkOp(
  "replaces a value",
  { op: "Imputer", domain, inputs: [gaps], attributes: one },
  { noGradient: "jumps" },
);
checkOp(
  "by a value of each feature",
  { op: "Imputer", domain, inputs: [gaps], attributes: each },
  { noGradient: "jumps" },
);
checkOp(
  "replaces what is not a number",
  { op: "Imputer", domain, inputs: [holes], attributes: { ...one, replaced_value_float: float(Number.NaN) } },
  { noGradient: "no differences of what is not a number" },
);
check("leaves others", "Imputer", [rows], one);
check("replaces whole numbers", "Imputer", [whole], { imputed_value_int64s: [5], replaced_value_int64: 1 });

test("Imputer passes gradients of elements that stay", () => {
  expect(gradientAt({ op: "Imputer", domain, inputs: [gaps], attributes: one })).toEqual([
    [1, 0, 1, 0, 1, 0],
  ]);
});

for (const norm of ["MAX", "L1", "L2"]) {
  check(`by ${norm}`, "Normalizer", [{ ...rows, kinks: [0] }], { norm });
  check(`a vector by ${norm}`, "Normalizer", [{ ...row, kinks: [0] }], { norm });
  check(`doubles by ${norm}`, "Normalizer", [{ ...doubles, kinks: [0] }], { norm });
  checkOp(
    `rows of zeros by ${norm}`,
    { op: "Normalizer", domain, inputs: [{ shape: [2, 2], values: [0, 0, 1, 2] }], attributes: { norm } },
    { noGradient: "a kink" },
  );
}

check("one for all", "Scaler", [rows], { offset: floats(0.5), scale: floats(-2) });
check("for each feature", "Scaler", [rows], { offset: floats(1, 2, 3), scale: floats(2, 0, -1) });
check("a vector", "Scaler", [row], { offset: floats(1, 2, 3), scale: floats(2, 0.5, -1) });
check("doubles", "Scaler", [doubles], { offset: floats(0.5), scale: floats(-2) });
check("whole numbers", "Scaler", [whole], { offset: floats(0.5), scale: floats(-2) });
check("no rows", "Scaler", [none], { offset: floats(0.5), scale: floats(-2) });

check("a threshold", "Binarizer", [{ ...rows, kinks: [0.5] }], { threshold: float(0.5) });
const categories = { cats_int64s: [1, 0, -2] };
check("whole numbers", "OneHotEncoder", [whole], categories);
checkOp("floats, cut", {
  op: "OneHotEncoder",
  domain,
  inputs: [{ ...rows, kinks: [-2, -1, 0, 1, 2] }],
  attributes: categories,
});

const weights = [0.1, 0.2, 0.3, -0.1, 0.4, 0.2, 0.5, -0.6, 0.3];
for (const post_transform of transforms) {
  const three = {
    coefficients: floats(...weights),
    intercepts: floats(0.5, 0, -0.2),
    targets: 3,
    post_transform,
  };
  check(`three targets, ${post_transform}`, "LinearRegressor", [rows], three);
  const single = { coefficients: floats(0.1, 0.2, 0.3), post_transform };
  check(`one target, ${post_transform}`, "LinearRegressor", [rows], single);
  const classes = { coefficients: floats(...weights), intercepts: floats(0.5, 0, -0.2), post_transform };
  check(
    `three classes, ${post_transform}`,
    "LinearClassifier",
    [rows],
    { ...classes, classlabels_ints: [4, 2, 9] },
    2,
  );
  const pair = { coefficients: floats(0.1, 0.2, 0.3), intercepts: floats(0.1), post_transform };
  check(
    `two classes, ${post_transform}`,
    "LinearClassifier",
    [rows],
    { ...pair, classlabels_ints: [4, 2] },
    2,
  );
}
const likely: OperandSpec = { shape: [4, 3], range: [0.1, 0.9] };
const shares = floats(0.1, 0.2, 0.3, 0.3, 0.1, 0.2);
check("PROBIT of one", "LinearRegressor", [likely], {
  coefficients: floats(0.2, 0.3, 0.1),
  post_transform: "PROBIT",
});
check("PROBIT of two", "LinearRegressor", [likely], {
  coefficients: shares,
  targets: 2,
  post_transform: "PROBIT",
});
check("a vector", "LinearRegressor", [row], { coefficients: floats(0.1, 0.2, 0.3) });
check("no rows", "LinearRegressor", [none], { coefficients: floats(0.1, 0.2, 0.3) });
check(
  "doubles, labels as text",
  "LinearClassifier",
  [doubles],
  {
    coefficients: floats(...weights),
    intercepts: floats(0, 0, 0),
    classlabels_strings: strings("a", "b", "c"),
  },
  2,
);

const kernels = { kernel_params: floats(0.5, 0.1, 2), rho: floats(0.2), n_supports: 2 };
const machine = { ...kernels, coefficients: floats(0.3, -0.7), support_vectors: floats(1, 0, 2, 0.5, -1, 1) };
for (const kernel_type of ["LINEAR", "POLY", "RBF", "SIGMOID"]) {
  check(kernel_type, "SVMRegressor", [rows], { ...machine, kernel_type });
  check(`one class, ${kernel_type}`, "SVMRegressor", [rows], { ...machine, kernel_type, one_class: 1 });
}
check("a line", "SVMRegressor", [rows], {
  kernel_params: floats(0, 0, 0),
  coefficients: floats(0.3, -0.7, 0.2),
  rho: floats(0.2),
});

test("whole numbers have no gradient, text neither", () => {
  expect(lookupOp(domain, "CategoryMapper")?.gradient.kind).toBe("none");
  expect(lookupOp(domain, "TreeEnsemble")?.gradient.kind).toBe("zero");
});

test("types of what only the runtime computes", () => {
  const typeOf = (
    type: string,
    x: ValueType,
    attributes: Readonly<Record<string, AttributeLike>>,
  ): string[] => {
    const graph = new Graph();
    const b = new OpBuilder({ graph }, 20);
    const operand = graph.addInput({ name: "x", type: x });
    const count = lookupOp(domain, type)?.outputs.length ?? 1;
    return b.ops(type, [operand], attributes, count, domain).map((value) => formatType(value.type));
  };
  const scores = tensorType("float32", [5, 2]);
  expect(typeOf("ZipMap", scores, { classlabels_strings: strings("a", "b") })).toEqual([
    "sequence of map from string to float32[]",
  ]);
  const map: ValueType = { kind: "map", key: "string", value: tensorType("float32", []) };
  expect(typeOf("DictVectorizer", map, { string_vocabulary: strings("a", "b", "c") })).toEqual([
    "float32[1, 3]",
  ]);
  expect(typeOf("CastMap", map, { map_form: "SPARSE", max_map: 7, cast_to: "TO_INT64" })).toEqual([
    "int64[1, 7]",
  ]);
  const text = tensorType("string", [2, 3]);
  expect(typeOf("CategoryMapper", text, { cats_int64s: [1], cats_strings: strings("a") })).toEqual([
    "int64[2, 3]",
  ]);
  expect(typeOf("LabelEncoder", text, { keys_strings: strings("a"), values_floats: floats(1) })).toEqual([
    "float32[2, 3]",
  ]);
  expect(typeOf("LabelEncoder", text, { classes_strings: strings("a", "b") })).toEqual(["int64[2, 3]"]);
  expect(typeOf("TreeEnsembleRegressor", scores, { n_targets: 4 })).toEqual(["float32[5, 4]"]);
  expect(typeOf("TreeEnsembleClassifier", scores, { classlabels_strings: strings("a", "b", "c") })).toEqual([
    "string[5]",
    "float32[5, 3]",
  ]);
  expect(typeOf("TreeEnsemble", tensorType("float64", [5, 2]), { n_targets: 4 })).toEqual(["float64[5, 4]"]);
});

test.each([
  ["LinearRegressor", {}, "coefficients"],
  ["LinearRegressor", { coefficients: floats(1, 2, 3), targets: 2 }, "coefficients"],
  [
    "LinearRegressor",
    { coefficients: floats(1, 2, 3, 4, 5, 6), targets: 2, post_transform: "CUBE" },
    "post_transform",
  ],
  ["Normalizer", { norm: "L3" }, "norm"],
  ["SVMRegressor", { ...machine, kernel_type: "SINE" }, "kernel_type"],
  ["Scaler", { scale: floats(1) }, "offset"],
] as const)("%s %j is refused by its attribute", (op, attributes, name) => {
  const build = (): unknown => gradientAt({ op, domain, inputs: [rows], attributes });
  expect(build).toThrow(
    expect.objectContaining({ code: "E_BAD_ATTRIBUTE", message: expect.stringContaining(name) }),
  );
});
