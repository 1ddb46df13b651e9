/** A gradient that does not come is refused where something depends on the variable, and zero where nothing does. */
import { describe, expect, it } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { parseModel } from "../../src/text/parse.ts";

/** The way on which the dependence of `y` on `x` is lost; undefined where there is a gradient. */
function lostWay(text: string): string | undefined {
  try {
    makeGradient(parseModel(text), { of: ["y"], wrt: ["x"] });
    return undefined;
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    expect(error.code).toBe("E_GRADIENT_INTEGERS");
    return error.diagnostics[0]?.place;
  }
}

const loop = (count: string, body: string) => `f (float[2] x, float[2] w${count}) => (float[2] y) {
  go = Constant <value = bool {1}> ()
  ${count === "" ? "n = Constant <value = int64 {2}> ()" : ""}
  ["loop"] y = Loop (n, go, x) <body = step (int64 i, bool c, float[2] v) => (bool d, float[2] u) { d = Identity (c) ${body} }>
}`;

describe("a loop whose body makes integers of what it carries", () => {
  const body = '["whole"] k = Cast <to = 7> (v) u = Cast <to = 1> (k)';

  it.each(["", ", int64 n"])("is refused, count%j", (count) => {
    expect(lostWay(loop(count, body))).toBe(
      '"x" -> Loop "loop" -> Cast "whole" -> Cast -> Loop "loop" -> "y"',
    );
  });

  it("is not, where a float goes on beside it", () => {
    expect(lostWay(loop(", int64 n", `${body.replace("u =", "q =")} u = Mul (q, v)`))).toBeUndefined();
  });

  it("is not, where nothing of it is left", () => {
    expect(lostWay(loop(", int64 n", "u = Sin (w)"))).toBeUndefined();
  });
});

it("refuses a number of iterations that depends on the variable", () => {
  expect(
    lostWay(`f (float x, float[2] w) => (float[2] y) {
      go = Constant <value = bool {1}> ()
      ["count"] n = Cast <to = 7> (x)
      y = Loop (n, go, w) <body = step (int64 i, bool c, float[2] v) => (bool d, float[2] u) { d = Identity (c) u = Sin (v) }>
    }`),
  ).toBe('"x" -> Cast "count" -> Loop -> "y"');
});

it("refuses sizes that are computed from elements, and no others", () => {
  const reshape = (sizes: string) => `f (float[2] x, float[4] w) => (float[a,b] y) {
    ${sizes}
    y = Reshape (w, n)
  }`;
  expect(lostWay(reshape("n = Cast <to = 7> (x)"))).toBe('"x" -> Cast -> Reshape -> "y"');
  expect(lostWay(reshape("k = Shape (x) n = Concat <axis = 0> (k, k)"))).toBeUndefined();
});

it("refuses a scale that was computed from the data, where nothing else comes of them", () => {
  const scale = '["quantize"] q, s, z = DynamicQuantizeLinear (x)';
  expect(lostWay(`f (float[4] x) => (float y) { ${scale} y = Exp (s) }`)).toBe(
    '"x" -> DynamicQuantizeLinear "quantize" -> Exp -> "y"',
  );
  expect(
    lostWay(`f (float[4] x) => (float[4] y) { ${scale} y = DequantizeLinear (q, s, z) }`),
  ).toBeUndefined();
});

it.each([
  ["Relu", "y = Relu (x)"],
  ["Abs", "y = Abs (x)"],
  ["ReduceMax", "y = ReduceMax <keepdims = 1> (x)"],
  ["MaxPool", "u = Unsqueeze (x, k) p = MaxPool <kernel_shape = [2], strides = [2]> (u) y = Squeeze (p, k)"],
  ["Clip", "y = Clip (x, low)"],
  ["TopK", "n = Constant <value_ints = [1]> () y, places = TopK (x, n)"],
])("gives zeros for the slope of %s, which is constant between kinks", (_, body) => {
  const first = makeGradient(
    parseModel(`f (float[2] x) => (float[n] y) {
      k = Constant <value_ints = [0, 1]> ()
      low = Constant <value_float = 0.0> ()
      ${body}
    }`),
    { wrt: ["x"] },
  );
  // As when the gradient is read from its file again.
  const again = readModel(encodeModel(first.model));
  expect(() => makeGradient(again, { of: ["grad.x"], wrt: ["x", "grad.y"] })).not.toThrow();
});
