/** Operators that reorder, repeat, join and cut. */
import { checkOp } from "../harness/check-op.ts";

const ints = (values: readonly number[]) =>
  ({ shape: [values.length], dtype: "int64", values, constant: true }) as const;
const input = (values: readonly number[]) => ({ shape: [values.length], dtype: "int64", values }) as const;

checkOp("a permutation", {
  op: "Transpose",
  inputs: [{ shape: [2, 3, 4] }],
  attributes: { perm: [2, 0, 1] },
});
checkOp("all axes reversed", { op: "Transpose", inputs: [{ shape: [2, 3, 4] }] });
checkOp("nothing", { op: "Transpose", inputs: [{ shape: [0, 3] }] });
checkOp("a scalar", { op: "Transpose", inputs: [{ shape: [] }] });
for (const mode of ["DCR", "CRD"]) {
  checkOp(mode, {
    op: "DepthToSpace",
    inputs: [{ shape: [2, 8, 3, 2] }],
    attributes: { blocksize: 2, mode },
  });
}
checkOp("blocks", { op: "SpaceToDepth", inputs: [{ shape: [2, 3, 4, 6] }], attributes: { blocksize: 2 } });

checkOp("leading and inner axes", { op: "Expand", inputs: [{ shape: [3, 1] }, ints([2, 3, 4])] });
checkOp("a target that says 1", { op: "Expand", inputs: [{ shape: [3, 4] }, ints([1, 4])] });
checkOp("a scalar", { op: "Expand", inputs: [{ shape: [] }, ints([2, 2])] });
checkOp(
  "a shape known at run time",
  { op: "Expand", inputs: [{ shape: [3, 1] }, input([2, 3, 4])] },
  // The length of the shape is the rank of the result.
  { namings: ["static"] },
);
checkOp("to nothing", { op: "Expand", inputs: [{ shape: [1, 2] }, ints([0, 2])] });
checkOp("some axes", { op: "Tile", inputs: [{ shape: [2, 3, 4] }, ints([1, 2, 3])] });
checkOp("no copy", { op: "Tile", inputs: [{ shape: [2, 3] }, ints([1, 1])] });
checkOp("counts known at run time", { op: "Tile", inputs: [{ shape: [2, 3] }, input([2, 2])] });

checkOp("three", {
  op: "Concat",
  inputs: [{ shape: [2, 3] }, { shape: [2, 1] }, { shape: [2, 2] }],
  attributes: { axis: 1 },
});
checkOp("the last axis", {
  op: "Concat",
  inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
  attributes: { axis: -1 },
});
checkOp("one", { op: "Concat", inputs: [{ shape: [2, 3] }], attributes: { axis: 0 } });
checkOp("an empty one", {
  op: "Concat",
  inputs: [{ shape: [2, 0] }, { shape: [2, 3] }, { shape: [2, 0] }],
  attributes: { axis: 1 },
});
checkOp(
  "unrelated sizes",
  {
    op: "Concat",
    inputs: [{ shape: [2, 3] }, { shape: [4, 3] }, { shape: [5, 3] }],
    attributes: { axis: 0 },
  },
  { namings: ["static", "shared", "separate"] },
);

checkOp("sizes", { op: "Split", inputs: [{ shape: [5, 2] }, ints([2, 3])], outputs: 2 });
checkOp("equal parts", {
  op: "Split",
  inputs: [{ shape: [2, 6] }],
  outputs: 3,
  attributes: { axis: -1, num_outputs: 3 },
});
checkOp("a smaller last part", {
  op: "Split",
  inputs: [{ shape: [7, 2] }],
  outputs: 3,
  attributes: { num_outputs: 3 },
});
checkOp("sizes known at run time", { op: "Split", inputs: [{ shape: [5, 2] }, input([2, 3])], outputs: 2 });
