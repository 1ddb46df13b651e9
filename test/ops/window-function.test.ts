/** Windows of signal processing. */
import { checkOp } from "../harness/check-op.ts";

for (const op of ["HannWindow", "HammingWindow", "BlackmanWindow"]) {
  for (const periodic of [0, 1]) {
    checkOp(`periodic ${periodic}`, {
      op,
      attributes: { periodic },
      inputs: [{ shape: [], dtype: "int64", values: [7], constant: true }],
    });
  }
}
