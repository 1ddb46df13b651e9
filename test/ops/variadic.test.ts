/** Max, Min, Sum and Mean over several operands. */
import { describe, expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";

for (const op of ["Max", "Min", "Sum", "Mean"]) {
  checkOp("one operand", { op, inputs: [{ shape: [2, 3] }] });
  checkOp("two operands", { op, inputs: [{ shape: [2, 3] }, { shape: [2, 3] }] });
  checkOp("broadcast both ways", { op, inputs: [{ shape: [3, 1] }, { shape: [1, 4] }] });
  checkOp("a scalar", { op, inputs: [{ shape: [3, 4] }, { shape: [] }] });
  checkOp("four operands", {
    op,
    inputs: [{ shape: [2, 3] }, { shape: [3] }, { shape: [2, 1] }, { shape: [] }],
  });
  checkOp(
    "names of their own",
    { op, inputs: [{ shape: [2, 3] }, { shape: [3] }] },
    { namings: ["separate"] },
  );
  checkOp(
    "float64",
    {
      op,
      inputs: [
        { shape: [2, 3], dtype: "float64" },
        { shape: [3], dtype: "float64" },
      ],
    },
    op === "Mean" ? { noRuntime: "no double kernel" } : {},
  );
}
for (const op of ["Max", "Min"]) {
  checkOp("int64", {
    op,
    inputs: [
      { shape: [2, 3], dtype: "int64", range: [-9, 9] },
      { shape: [3], dtype: "int64", range: [-9, 9] },
    ],
  });
}

describe("ties", () => {
  const ones = (count: number) => Array.from({ length: count }, () => ({ shape: [], values: [1] }));
  test.each(["Max", "Min"])("%s splits evenly between two, as PyTorch's maximum", (op) => {
    expect(gradientAt({ op, inputs: ones(2) })).toEqual([[0.5], [0.5]]);
  });
  test.each(["Max", "Min"])("%s splits evenly among four", (op) => {
    expect(gradientAt({ op, inputs: ones(4) })).toEqual([[0.25], [0.25], [0.25], [0.25]]);
  });
  test("an operand that does not tie gets nothing", () => {
    const inputs = [...ones(2), { shape: [], values: [0] }];
    expect(gradientAt({ op: "Max", inputs })).toEqual([[0.5], [0.5], [0]]);
  });
});
