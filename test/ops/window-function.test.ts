/** Windows and filters of signal processing. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OpCase } from "../harness/op-case.ts";

for (const op of ["HannWindow", "HammingWindow", "BlackmanWindow"]) {
  for (const periodic of [0, 1]) {
    checkOp(`periodic ${periodic}`, {
      op,
      attributes: { periodic },
      inputs: [{ shape: [], dtype: "int64", values: [7], constant: true }],
    });
    for (const size of [1, 2]) {
      checkOp(`${size} elements, periodic ${periodic}`, {
        op,
        attributes: { periodic },
        inputs: [{ shape: [], dtype: "int64", values: [size], constant: true }],
      });
    }
  }
  checkOp("a size of int32 computed at run time", {
    op,
    inputs: [{ shape: [], dtype: "int32", values: [6] }],
  });
}

/** Bands, length, rate, lowest and highest frequency. */
const filter = (...values: readonly [number, number, number, number, number]): OpCase => ({
  op: "MelWeightMatrix",
  inputs: values.map((value, i) => ({
    shape: [],
    dtype: i < 3 ? ("int64" as const) : ("float32" as const),
    values: [value],
    constant: true,
  })),
});
checkOp("bands as narrow as bins", filter(8, 16, 8192, 0, 4096));
checkOp("wide bands", filter(4, 64, 16000, 20, 7600));
checkOp("an odd length", filter(5, 33, 8000, 100.5, 3500));
checkOp("float64", { ...filter(4, 64, 16000, 20, 7600), attributes: { output_datatype: 11 } });
checkOp("whole numbers", { ...filter(4, 64, 16000, 20, 7600), attributes: { output_datatype: 6 } });

test("a band outside of the spectrum is refused", () => {
  expect(() => evaluateCase(buildCase(filter(4, 16, 8192, 0, 8192), "static"))).toThrow(
    /E_BAD_OPERAND[\s\S]*bins from 0 to 8/,
  );
});
