/** Slice, Pad and CenterCropPad. */
import { checkOp } from "../harness/check-op.ts";

const ints = (values: readonly number[]) =>
  ({ shape: [values.length], dtype: "int64", values, constant: true }) as const;
const input = (values: readonly number[]) => ({ shape: [values.length], dtype: "int64", values }) as const;
const end = Number.MAX_SAFE_INTEGER;

const slices: readonly (readonly [string, number[], number[], number[], number[]?])[] = [
  ["the front", [0], [2], [0]],
  ["the rear", [2], [end], [1]],
  ["but the last", [0], [-1], [1]],
  ["from the end", [-3], [-1], [1]],
  ["from the end to it", [-2], [end], [1]],
  ["two axes", [1, 1], [3, 4], [0, -1]],
  ["beyond the end", [1], [100], [0]],
  ["beyond the front", [-100], [2], [0]],
  ["nothing", [2], [2], [1]],
  ["steps", [0], [end], [1], [2]],
  ["steps from inside", [1], [-1], [1], [3]],
  ["backwards", [-1], [-end], [1], [-1]],
  ["backwards by two", [3], [0], [1], [-2]],
  ["backwards from beyond", [end], [-end], [0], [-1]],
];
for (const [name, starts, ends, axes, steps] of slices) {
  const bounds = [starts, ends, axes, ...(steps === undefined ? [] : [steps])];
  const inputs = [{ shape: [4, 5] }, ...bounds.map(ints)];
  checkOp(name, { op: "Slice", inputs });
  const atRunTime = [{ shape: [4, 5] }, ...bounds.slice(0, 2).map(input), ...bounds.slice(2).map(ints)];
  checkOp(`${name}, bounds known at run time`, { op: "Slice", inputs: atRunTime });
}
checkOp("everything known at run time", {
  op: "Slice",
  inputs: [{ shape: [4, 5] }, input([1, 4]), input([3, 0]), input([0, 1]), input([1, -1])],
});
checkOp("no axes given", { op: "Slice", inputs: [{ shape: [4, 5] }, ints([1, 2]), ints([3, 5])] });

for (const mode of ["constant", "reflect", "edge", "wrap"]) {
  const attributes = { mode };
  checkOp(mode, { op: "Pad", inputs: [{ shape: [3, 4] }, ints([1, 2, 0, 3])], attributes });
  checkOp(`${mode}, some axes`, {
    op: "Pad",
    inputs: [{ shape: [3, 4] }, ints([2, 1]), null, ints([-1])],
    attributes,
  });
}
checkOp("a filler", {
  op: "Pad",
  inputs: [{ shape: [3, 4] }, ints([1, 0, 0, 2]), { shape: [], values: [7] }],
});
checkOp("negative sizes", { op: "Pad", inputs: [{ shape: [4, 5] }, ints([-1, 2, 1, -2])] });
checkOp("sizes known at run time", { op: "Pad", inputs: [{ shape: [3, 4] }, input([1, 2, 0, 3])] });
checkOp("negative sizes known at run time", {
  op: "Pad",
  inputs: [{ shape: [4, 5] }, input([-1, -1, 0, -2])],
});
checkOp(
  "wrapped more than once",
  {
    op: "Pad",
    inputs: [{ shape: [3] }, ints([5, 4])],
    attributes: { mode: "wrap" },
  },
  { noRuntime: "its CPU kernel reads outside the operand there" },
);

for (const [name, shape] of [
  ["cut", [2, 3]],
  ["pad", [7, 8]],
  ["cut and pad", [3, 9]],
] as const) {
  checkOp(name, { op: "CenterCropPad", inputs: [{ shape: [4, 5] }, ints(shape)] });
  checkOp(`${name} at run time`, { op: "CenterCropPad", inputs: [{ shape: [4, 5] }, input(shape)] });
}
checkOp("one axis", {
  op: "CenterCropPad",
  inputs: [{ shape: [4, 5] }, ints([2])],
  attributes: { axes: [-1] },
});
