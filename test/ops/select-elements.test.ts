/** OneHot, NonZero, Compress, Unique, TopK, Trilu, ReverseSequence. */
import { checkOp } from "../harness/check-op.ts";

const index = (shape: readonly number[], values: readonly number[], dtype: "int64" | "int32" = "int64") =>
  ({ shape, dtype, values }) as const;
const flags = (...values: readonly number[]) => ({ shape: [values.length], dtype: "bool", values }) as const;
const depth = { shape: [], dtype: "int64", values: [4], constant: true } as const;

for (const axis of [-1, 0, 1]) {
  checkOp(`axis ${axis}`, {
    op: "OneHot",
    inputs: [index([2, 2], [0, 3, -1, 7]), depth, { shape: [2], values: [0.5, 2] }],
    attributes: { axis },
  });
}
checkOp(
  "a scalar index",
  { op: "OneHot", inputs: [index([], [2]), depth, { shape: [2], values: [0, 1] }] },
  { noRuntime: "it takes no scalar" },
);
checkOp("a depth known at run time", {
  op: "OneHot",
  inputs: [index([2], [0, 1]), { ...depth, constant: false }, { shape: [2], values: [0, 1] }],
});

checkOp("a matrix", { op: "NonZero", inputs: [{ shape: [2, 3], values: [0, 1, 0, 2, 0, 3] }] });
checkOp("nothing", { op: "NonZero", inputs: [{ shape: [2], values: [0, 0] }] });

checkOp("all elements", { op: "Compress", inputs: [{ shape: [2, 3] }, flags(1, 0, 1, 0, 1)] });
for (const axis of [0, -1]) {
  checkOp(`axis ${axis}`, {
    op: "Compress",
    inputs: [{ shape: [3, 3] }, flags(0, 1, 1)],
    attributes: { axis },
  });
}

const repeats = [2, 1, 1, 3, 4, 3];
const outputs = 4;
for (const sorted of [0, 1]) {
  checkOp(
    `sorted ${sorted}`,
    { op: "Unique", inputs: [{ shape: [6], values: repeats }], attributes: { sorted }, outputs },
    kink(),
  );
  checkOp(
    `rows, sorted ${sorted}`,
    {
      op: "Unique",
      inputs: [{ shape: [4, 2], values: [3, 1, 1, 0, 3, 1, 2, 3] }],
      attributes: { sorted, axis: 0 },
      outputs,
    },
    kink(),
  );
}
checkOp(
  "columns",
  {
    op: "Unique",
    inputs: [{ shape: [2, 3], values: [3, 1, 3, 0, 5, 0] }],
    attributes: { axis: -1 },
    outputs,
  },
  kink(),
);
checkOp("distinct elements", { op: "Unique", inputs: [{ shape: [4], values: [3, 1, 2, -1] }], outputs });
checkOp("distinct rows", {
  op: "Unique",
  inputs: [{ shape: [3, 2], values: [3, 1, 2, -1, 0, 5] }],
  attributes: { axis: 0 },
  outputs,
});
checkOp("distinct columns", {
  op: "Unique",
  inputs: [{ shape: [2, 3], values: [3, 1, 2, -1, 0, 5] }],
  attributes: { axis: 1 },
  outputs,
});

function kink(): { readonly noGradient: string } {
  return { noGradient: "elements that are equal come apart when one of them moves" };
}

const k = { shape: [1], dtype: "int64", values: [2], constant: true } as const;
for (const largest of [0, 1]) {
  for (const axis of [-1, 0, 1]) {
    checkOp(`largest ${largest}, axis ${axis}`, {
      op: "TopK",
      inputs: [{ shape: [3, 4, 2] }, k],
      attributes: { largest, axis },
      outputs: 2,
    });
  }
}
checkOp(
  "equal elements",
  { op: "TopK", inputs: [{ shape: [4], values: [1, 3, 3, 3] }, k], outputs: 2 },
  { noGradient: "a kink" },
);
checkOp("k known at run time", {
  op: "TopK",
  inputs: [{ shape: [3, 4] }, { ...k, constant: false }],
  outputs: 2,
});
checkOp("none", { op: "TopK", inputs: [{ shape: [3] }, { ...k, values: [0] }], outputs: 2 });
checkOp("whole numbers", { op: "TopK", inputs: [{ shape: [5], dtype: "int64" }, k], outputs: 2 });

for (const upper of [0, 1]) {
  checkOp(`upper ${upper}`, { op: "Trilu", inputs: [{ shape: [2, 3, 4] }], attributes: { upper } });
  for (const shift of [-1, 2]) {
    checkOp(`upper ${upper}, diagonal ${shift}`, {
      op: "Trilu",
      inputs: [{ shape: [3, 4] }, { shape: [], dtype: "int64", values: [shift], constant: true }],
      attributes: { upper },
    });
  }
}

checkOp("time first", { op: "ReverseSequence", inputs: [{ shape: [4, 3, 2] }, index([3], [4, 1, 2])] });
checkOp("batch first", {
  op: "ReverseSequence",
  inputs: [{ shape: [3, 4, 2] }, index([3], [4, 1, 2])],
  attributes: { batch_axis: 0, time_axis: 1 },
});
