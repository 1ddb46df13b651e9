/** ScatterElements and ScatterND. */
import { checkOp } from "../harness/check-op.ts";

const indices = (shape: readonly number[], values: readonly number[]) =>
  ({ shape, dtype: "int64", values }) as const;

for (const axis of [0, -1]) {
  checkOp(`axis ${axis}`, {
    op: "ScatterElements",
    inputs: [{ shape: [3, 3] }, indices([2, 2], [0, 1, -1, 0]), { shape: [2, 2] }],
    attributes: { axis },
  });
}
for (const reduction of ["add", "mul", "max", "min"]) {
  checkOp(`${reduction} with repeats`, {
    op: "ScatterElements",
    inputs: [{ shape: [4, 2] }, indices([3, 2], [0, 1, 0, 1, -4, 3]), { shape: [3, 2] }],
    attributes: { reduction },
  });
  checkOp(`${reduction} with repeats`, {
    op: "ScatterND",
    inputs: [{ shape: [4, 2] }, indices([3, 1], [1, 1, 3]), { shape: [3, 2] }],
    attributes: { reduction },
  });
  checkOp(
    `${reduction} of elements`,
    {
      op: "ScatterND",
      inputs: [{ shape: [2, 3] }, indices([2, 2, 2], [0, 1, 0, 1, 1, -1, 0, 0]), { shape: [2, 2] }],
      attributes: { reduction },
    },
    { namings: ["static"] },
  );
}
checkOp("products with zeros", {
  op: "ScatterElements",
  inputs: [
    { shape: [4], values: [2, 3, 0, 5] },
    indices([6], [0, 0, 1, 1, 2, 3]),
    { shape: [6], values: [0, 2, 0, 0, 3, 0] },
  ],
  attributes: { reduction: "mul" },
});
checkOp("rows", { op: "ScatterND", inputs: [{ shape: [4, 3] }, indices([2, 1], [2, 0]), { shape: [2, 3] }] });
checkOp("elements", {
  op: "ScatterND",
  inputs: [{ shape: [4, 3] }, indices([2, 2], [2, 0, 1, -1]), { shape: [2] }],
});
checkOp(
  "float16",
  {
    op: "ScatterElements",
    inputs: [{ shape: [3], dtype: "float16" }, indices([2], [0, 0]), { shape: [2], dtype: "float16" }],
    attributes: { reduction: "add" },
  },
  { noRuntime: "the CPU kernel refuses float16 sums" },
);
checkOp("integers", {
  op: "ScatterElements",
  inputs: [{ shape: [3], dtype: "int64" }, indices([2], [0, 0]), { shape: [2], dtype: "int64" }],
  attributes: { reduction: "add" },
});
