/** Gradients of operands that were stretched: by axes known beforehand, and by axes that only a run knows. */
import { describe, expect, it } from "vitest";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { checkGradient } from "../harness/check-op.ts";
import { appendBackward, buildBackward } from "../harness/gradient.ts";
import { runModel } from "../harness/runtime.ts";
import { buildText } from "./text-case.ts";

const shapes: readonly (readonly [left: readonly number[], right: readonly number[]])[] = [
  [[2, 3], [3]],
  [
    [2, 3],
    [1, 3],
  ],
  [
    [2, 3],
    [2, 1],
  ],
  [[2, 3], []],
  [
    [4, 1, 3],
    [2, 1],
  ],
  [[1], [2, 3]],
  [
    [1, 1],
    [1, 1],
  ],
  [[2, 0, 3], [3]],
];

describe("axes known beforehand", () => {
  it.each(shapes)("[%s] with [%s]", (left, right) => {
    const text = `f (float[${left}] a, float[${right}] b) => (float[...] y) { y = Mul (a, b) }`.replaceAll(
      "float[] ",
      "float ",
    );
    checkGradient(() => buildText({ text: text.replace("float[...]", "float[]") }));
  });

  it("take one sum for each stretched operand, and none for the others", () => {
    const operators = (left: readonly number[], right: readonly number[]): string[] => {
      const { model } = buildBackward({ op: "Add", inputs: [{ shape: left }, { shape: right }] }, "static");
      return [...model.graph.nodes()].map(({ op }) => op).sort();
    };
    expect(operators([2, 3], [3])).toEqual(["Add", "ReduceSum"]);
    expect(operators([2, 3], [1, 3])).toEqual(["Add", "ReduceSum"]);
    expect(operators([2, 3], [2, 3])).toEqual(["Add"]);
    expect(operators([4, 1, 3], [2, 1])).toEqual(["Add", "ReduceSum", "ReduceSum", "Squeeze"].sort());
  });
});

describe("axes that only a run knows", () => {
  const text = "f (float[a,3] x, float[b,3] z) => (float[c,3] y) { y = Mul (x, z) }";
  const sizes: readonly (readonly [number, number])[] = [
    [4, 4],
    [4, 1],
    [1, 4],
    [1, 1],
  ];

  it.each(sizes)("a = %i, b = %i", async (a, b) => {
    const spec = { text, sizes: { a, b, c: Math.max(a, b) } };
    checkGradient(() => buildText(spec));
    // The runtime takes the same ways.
    const built = appendBackward(buildText(spec));
    const wanted = evaluateGraph(built.model.graph, built.feeds, { opset: built.opset });
    const got = await runModel(built.model, built.feeds);
    got.forEach((array, i) => {
      expect(array.shape).toEqual(wanted[i]?.shape);
      array.toNumbers().forEach((value, at) => expect(value).toBeCloseTo(wanted[i]?.toNumbers()[at] ?? 0, 4));
    });
  });

  it("a named axis against a number", () => {
    const against = "f (float[a,3] x, float[4,1] z) => (float[4,3] y) { y = Mul (x, z) }";
    for (const a of [4, 1]) checkGradient(() => buildText({ text: against, sizes: { a } }));
  });

  it("an operand of lower rank with a name of its own", () => {
    const lower = "f (float[n,a] x, float[b] z) => (float[n,c] y) { y = Div (x, z) }";
    for (const [a, b] of sizes)
      checkGradient(() => buildText({ text: lower, sizes: { n: 2, a, b, c: Math.max(a, b) } }));
  });

  it("one name on both sides needs no question", () => {
    const { model } = appendBackward(
      buildText({
        text: "f (float[n,3] x, float[n,3] z) => (float[n,3] y) { y = Mul (x, z) }",
        sizes: { n: 2 },
      }),
    );
    expect([...model.graph.nodes()].map(({ op }) => op)).toEqual(["Mul", "Mul", "Mul"]);
  });
});
