/** Trigonometric and hyperbolic functions. */
import { checkOp } from "../harness/check-op.ts";

const domains: Readonly<Record<string, readonly [number, number]>> = {
  Sin: [-4, 4],
  Cos: [-4, 4],
  Tan: [-1.2, 1.2],
  Asin: [-0.9, 0.9],
  Acos: [-0.9, 0.9],
  Atan: [-3, 3],
  Sinh: [-2, 2],
  Cosh: [-2, 2],
  Tanh: [-3, 3],
  Asinh: [-3, 3],
  Acosh: [1.2, 4],
  Atanh: [-0.9, 0.9],
};

for (const [op, range] of Object.entries(domains)) {
  checkOp("a matrix", { op, inputs: [{ shape: [3, 5], range }] });
  checkOp("a scalar", { op, inputs: [{ shape: [], range }] });
  checkOp(
    "float64",
    { op, inputs: [{ shape: [4], dtype: "float64", range }] },
    // The stock CPU runtime has no double kernels for most of them.
    { noRuntime: "no double kernel" },
  );
}
