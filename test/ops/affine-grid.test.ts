/** AffineGrid. */
import { checkOp } from "../harness/check-op.ts";

for (const align_corners of [0, 1]) {
  for (const [shape, values] of [
    [
      [2, 2, 3],
      [2, 3, 4, 5],
    ],
    [
      [1, 2, 3],
      [1, 1, 2, 7],
    ],
    [
      [2, 3, 4],
      [2, 1, 3, 2, 4],
    ],
  ] as const) {
    for (const how of [{ constant: true }, { host: true }]) {
      const size = { shape: [values.length], dtype: "int64" as const, values, ...how };
      const name = `[${values}], align_corners ${align_corners}, size ${"constant" in how ? "known" : "at run time"}`;
      const spec = { op: "AffineGrid", inputs: [{ shape }, size], attributes: { align_corners } };
      checkOp(name, spec, { namings: ["static", "shared", "separate"] });
    }
  }
}
const size = { shape: [4], dtype: "int64" as const, values: [1, 1, 2, 3], constant: true };
checkOp("in float64", { op: "AffineGrid", inputs: [{ shape: [1, 2, 3], dtype: "float64" }, size] });
checkOp("in float16, whose grid of a constant the runtime does not fold", {
  op: "AffineGrid",
  inputs: [
    { shape: [2, 2, 3], dtype: "float16" },
    { ...size, values: [2, 3, 4, 5] },
  ],
});
