/** Cast and CastLike. */
import { type DType, dtypeCode } from "../../src/ir/dtype.ts";
import { checkOp } from "../harness/check-op.ts";

const floats = [-2.7, -0.5, 0, 0.4, 1.5, 2.5, 100.25];
const to = (dtype: DType) => ({ to: dtypeCode(dtype) });

for (const dtype of ["float64", "float16", "float32", "int32", "int64", "int8", "bool"] as const) {
  checkOp(`float32 to ${dtype}`, {
    op: "Cast",
    inputs: [{ shape: [7], values: floats }],
    attributes: to(dtype),
  });
}
for (const dtype of ["float32", "int64", "bool", "uint8"] as const) {
  checkOp(`int32 to ${dtype}`, {
    op: "Cast",
    inputs: [{ shape: [5], dtype: "int32", values: [-3, 0, 1, 255, 70000] }],
    attributes: to(dtype),
  });
}
checkOp("int64 to int32", {
  op: "Cast",
  inputs: [{ shape: [3], dtype: "int64", values: [-1, 2 ** 31, 2 ** 33 + 5] }],
  attributes: to("int32"),
});
checkOp("bool to float32", {
  op: "Cast",
  inputs: [{ shape: [2], dtype: "bool", values: [0, 1] }],
  attributes: to("float32"),
});
checkOp("a scalar", { op: "Cast", inputs: [{ shape: [], dtype: "float64" }], attributes: to("float32") });
checkOp("from a float to a wider one", {
  op: "CastLike",
  inputs: [{ shape: [2, 3] }, { shape: [1], dtype: "float64" }],
});
checkOp("to whole numbers", {
  op: "CastLike",
  inputs: [
    { shape: [2], values: [1.5, -1.5] },
    { shape: [], dtype: "int64" },
  ],
});
