/**
 * Straight-through gradients along ways of quantised numbers. The evaluator's exact mode leaves out all rounding, so that
 * central differences there are those of the function whose derivative is meant.
 */
import { describe, expect, it } from "vitest";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { checkGradient, checkRuntime } from "../harness/check-op.ts";
import { appendBackward, projectGradients } from "../harness/gradient.ts";
import { buildText, type TextCase } from "./text-case.ts";

const opset = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>\n';

/** Differences of the unrounded function, and the runtime on the backward graph; which must not be zero. */
async function checkPath(spec: TextCase): Promise<void> {
  const build = () => buildText({ ...spec, text: opset + spec.text });
  checkGradient(build);
  for (const { byGraph, variable } of projectGradients(build)) expect(byGraph, variable.name).not.toBe(0);
  const built = appendBackward(build());
  await checkRuntime({ ...built, outputs: [...built.model.graph.outputs] });
}

const parameters = "<float s = {0.1}, int8 z = {3}>";
const wide = (text: string, constants = parameters): string =>
  `f (float[2,4] x) => (float[...] y) ${constants} ${text}`.replace("[...]", "[]");

describe("QuantizeLinear and DequantizeLinear around", () => {
  const around: readonly (readonly [name: string, inner: string, shape: string])[] = [
    ["nothing", "r = Identity (q)", "2,4"],
    ["Reshape", "c = Constant <value = int64[2] {4, 2}> () r = Reshape (q, c)", "4,2"],
    ["Transpose", "r = Transpose (q)", "4,2"],
    ["Flatten", "r = Flatten <axis = 0> (q)", "1,8"],
    [
      "Squeeze and Unsqueeze",
      "c = Constant <value = int64[1] {0}> () a = Unsqueeze (q, c) r = Squeeze (a, c)",
      "2,4",
    ],
    ["Concat", "r = Concat <axis = 0> (q, q)", "4,4"],
    ["Split", "a, b = Split <axis = 1, num_outputs = 2> (q) r = Concat <axis = 0> (a, b)", "4,2"],
    ["Split with a piece left", "a, r = Split <axis = 1, num_outputs = 2> (q)", "2,2"],
    [
      "Slice",
      "a = Constant <value = int64[1] {1}> () b = Constant <value = int64[1] {9}> () r = Slice (q, a, b, a)",
      "2,3",
    ],
    ["Gather", "c = Constant <value = int64[3] {1, 1, 0}> () r = Gather (q, c)", "3,4"],
    ["Expand", "c = Constant <value = int64[3] {2, 2, 4}> () r = Expand (q, c)", "2,2,4"],
    ["Pad", "c = Constant <value = int64[4] {0, 1, 0, 0}> () r = Pad (q, c)", "2,5"],
  ];
  it.each(around)("%s", async (_, inner, shape) => {
    const body = `{ q = QuantizeLinear (x, s, z) ${inner} y = DequantizeLinear (r, s, z) }`;
    await checkPath({ text: wide(body).replace("y)", "y)").replace("float[] y", `float[${shape}] y`) });
  });

  it("a maximum over windows", async () => {
    const text = `f (float[1,2,4,4] x) => (float[1,2,2,2] y) ${parameters} {
      q = QuantizeLinear (x, s, z)
      r = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q)
      y = DequantizeLinear (r, s, z)
    }`;
    await checkPath({ text });
  });

  it("other scales behind than before", async () => {
    const constants =
      "<float s = {0.1}, uint8 z = {128}, float[4] t = {0.1, 0.2, 0.3, 0.4}, uint8[4] o = {1, 2, 3, 4}>";
    await checkPath({
      text: `f (float[2,4] x) => (float[2,4] y) ${constants} { q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, t, o) }`,
    });
  });

  it("scales along an axis and in blocks, learned with the data", async () => {
    await checkPath({
      text: `f (float[2,4] x, float[4] a) => (float[2,4] y) {
        s = Exp (a) q = QuantizeLinear (x, s) y = DequantizeLinear (q, s)
      }`.replace("QuantizeLinear (x, s)", "QuantizeLinear <output_dtype = 3> (x, s)"),
    });
    await checkPath({
      text: `f (float[2,4] x, float[2,2] a) => (float[2,4] y) {
        s = Exp (a) q = QuantizeLinear <output_dtype = 3, block_size = 2> (x, s)
        y = DequantizeLinear <block_size = 2> (q, s)
      }`,
    });
  });

  it("4 bits and 8-bit floats", async () => {
    const text = (
      type: string,
      value: string,
    ) => `f (float[2,4] x) => (float[2,4] y) <float s = {0.5}, ${type} z = {${value}}> {
        q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)
      }`;
    await checkPath({ text: text("int4", "1") });
    await checkPath({ text: text("uint4", "7") });
    await checkPath({ text: text("float8e4m3fn", "0") });
    await checkPath({ text: text("float8e5m2", "0") });
  });

  it("16 bits in an older opset, where only the runtime has them", async () => {
    const text = `<ir_version: 8, opset_import: ["" : 20, "com.microsoft" : 1]>
      f (float[2,4] x) => (float[2,4] y) <float s = {0.001}, uint16 z = {30000}> {
        q = com.microsoft.QuantizeLinear (x, s, z) y = com.microsoft.DequantizeLinear (q, s, z)
      }`;
    checkGradient(() => buildText({ text }));
    const built = appendBackward(buildText({ text }));
    await checkRuntime({ ...built, outputs: [...built.model.graph.outputs] });
  });

  it("named axes", async () => {
    await checkPath({
      text: `f (float[n,4] x) => (float[m,4] y) ${parameters} {
        q = QuantizeLinear (x, s, z) r = Concat <axis = 0> (q, q) y = DequantizeLinear (r, s, z)
      }`,
      sizes: { n: 2, m: 4 },
    });
  });
});

const columns = `<int8[4,3] w = {-2, 9, 8, -5, 2, 6, 9, -7, -9, 6, -1, 8}, float[3] ws = {0.1, 0.2, 0.3}, int8[3] wz = {1, 0, -2}, int8 z = {2}, float b = {0.5}>`;

describe("weights of whole numbers, data quantised as it comes", () => {
  it.each([
    ["a zero point", "MatMulInteger (q, w, xz, z)"],
    ["a zero point for each column", "MatMulInteger (q, w, xz, wz)"],
    ["no zero point of the weights", "MatMulInteger (q, w, xz)"],
  ])("MatMulInteger with %s", async (_, product) => {
    await checkPath({
      text: `f (float[2,5,4] x) => (float[2,5,3] y) ${columns} {
        q, s, xz = DynamicQuantizeLinear (x)
        i = ${product} r = Cast <to = 1> (i) t = Mul (s, ws) m = Mul (r, t) y = Add (m, b)
      }`,
    });
  });

  it("ConvInteger", async () => {
    await checkPath({
      text: `f (float[1,2,5,5] x) => (float[1,2,3,3] y) <int8[2,2,3,3] w = {-2, -3, 6, 8, 8, 6, 3, -5, -2, -5, 7, 3, -9, -7, -4, 9, -8, 0, -9, -1, 6, 3, 4, 3, 9, 5, -5, 2, -6, -8, -5, 6, -3, -1, 4, 0}, int8 z = {3}, float[1,2,1,1] ws = {0.1, 0.2}> {
        q, s, xz = DynamicQuantizeLinear (x)
        i = ConvInteger <pads = [1, 1, 1, 1], strides = [2, 2], kernel_shape = [3, 3]> (q, w, xz, z)
        r = Cast <to = 1> (i) t = Mul (s, ws) y = Mul (r, t)
      }`,
    });
  });

  it("MatMulInteger of two activations", async () => {
    await checkPath({
      text: `f (float[2,4] x, float[4,3] w) => (float[2,3] y) {
        q, s, xz = DynamicQuantizeLinear (x) p, t, wz = DynamicQuantizeLinear (w)
        i = MatMulInteger (q, p, xz, wz) r = Cast <to = 1> (i) u = Mul (s, t) y = Mul (r, u)
      }`,
    });
  });
});

describe("operators that give quantised numbers again", () => {
  const linear = `<float s = {0.1}, uint8 z = {128}, float t = {0.3}, uint8 o = {120}, int8[4,3] w = {4, 7, 3, 9, 2, 8, 9, 4, 9, -2, 1, -9}, float[3] ws = {0.1, 0.2, 0.3}, int8[3] wz = {1, 0, -2}>`;
  it("QLinearMatMul", async () => {
    await checkPath({
      text: `f (float[2,4] x) => (float[2,3] y) ${linear} {
        q = QuantizeLinear (x, s, z) p = QLinearMatMul (q, s, z, w, ws, wz, t, o) y = DequantizeLinear (p, t, o)
      }`,
    });
  });

  it.each([
    ["QLinearAdd", "p = com.microsoft.QLinearAdd (q, s, z, q, s, z, t, o)"],
    ["QLinearMul", "p = com.microsoft.QLinearMul (q, s, z, q, s, z, t, o)"],
    ["QLinearSigmoid", "p = com.microsoft.QLinearSigmoid (q, s, z, t, o)"],
    ["QLinearLeakyRelu", "p = com.microsoft.QLinearLeakyRelu (q, s, z, t, o)"],
    ["QLinearSoftmax", "p = com.microsoft.QLinearSoftmax <axis = 1, opset = 13> (q, s, z, u, k)"],
    ["QLinearWhere", "g = Greater (x, zero) p = com.microsoft.QLinearWhere (g, q, s, z, q, t, o, t, o)"],
    [
      "QGemm",
      "c = com.microsoft.QGemm (q, s, z, v, ws, wz, bias, t, o) p = com.microsoft.QLinearConcat <axis = 1> (t, o, c, t, o, q, s, z)",
    ],
  ])("%s", async (name, inner) => {
    const constants = `${linear.slice(0, -1)}, float u = {0.01}, uint8 k = {10}, float zero = {0.0}, int8[4,3] v = {1, -2, 3, 4, -5, 6, -7, 8, 9, -1, 2, -3}, int32[3] bias = {4, -5, 6}>`;
    const [shape, back] =
      name === "QGemm" ? ["2,7", "t, o"] : name === "QLinearSoftmax" ? ["2,4", "u, k"] : ["2,4", "t, o"];
    await checkPath({
      text: `f (float[2,4] x) => (float[${shape}] y) ${constants} {
        q = QuantizeLinear (x, s, z) ${inner} y = DequantizeLinear (p, ${back})
      }`,
    });
  });

  it.each(["QLinearAveragePool <kernel_shape = [2, 2]>", "QLinearGlobalAveragePool"])("%s", async (pool) => {
    await checkPath({
      text: `f (float[1,2,4,4] x) => (float[1,2,${pool.startsWith("QLinearG") ? "1,1" : "3,3"}] y) ${linear} {
        q = QuantizeLinear (x, s, z) p = com.microsoft.${pool} (q, s, z, t, o) y = DequantizeLinear (p, t, o)
      }`,
    });
  });

  it("MatMulIntegerToFloat and DynamicQuantizeMatMul", async () => {
    await checkPath({
      text: `f (float[2,5,4] x) => (float[2,5,3] y) ${linear} {
        q, a, xz = DynamicQuantizeLinear (x) y = com.microsoft.MatMulIntegerToFloat (q, w, a, ws, xz, wz)
      }`,
    });
    await checkPath({
      text: `f (float[2,5,4] x) => (float[2,5,3] y) ${linear} { y = com.microsoft.DynamicQuantizeMatMul (x, w, ws, wz) }`,
    });
  });

  it("QLinearConv", async () => {
    const constants = `<float s = {0.1}, uint8 z = {128}, float t = {0.4}, uint8 o = {120}, int8[2,2,3,3] w = {-1, -4, 1, 8, 9, 9, -6, -3, 9, -1, 0, -6, -7, 6, 6, -7, 2, -7, 4, -5, -9, 0, 4, 4, -6, -8, -8, 3, 9, 1, 8, -1, 7, -2, -8, 0}, float[2] ws = {0.1, 0.2}, int8[2] wz = {0, 0}, int32[2] b = {30, -40}>`;
    await checkPath({
      text: `f (float[1,2,5,5] x) => (float[1,2,5,5] y) ${constants} {
        q = QuantizeLinear (x, s, z)
        p = QLinearConv <pads = [1, 1, 1, 1], kernel_shape = [3, 3]> (q, s, z, w, ws, wz, t, o, b)
        y = DequantizeLinear (p, t, o)
      }`,
    });
  });
});

describe("what was cut", () => {
  const text = `${opset}f (float[9] x) => (float[9] y) <float s = {0.5}, int8 z = {100}> {
    q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)
  }`;
  it("has no gradient; what rounds to a bound has", () => {
    const built = appendBackward(buildText({ text }));
    const [x] = built.variables;
    const [seed] = built.seeds;
    if (x === undefined || seed === undefined) throw new Error("no variable");
    // The bounds are -228 and 27 steps of 0.5.
    const points = [-200, -114.3, -114.2, -114, 0, 13.5, 13.7, 13.8, 20];
    built.feeds.set(x, fromNumbers("float32", [9], points));
    built.feeds.set(seed, fromNumbers("float32", [9], new Array<number>(9).fill(1)));
    const [gradient] = evaluateGraph(built.model.graph, built.feeds, { opset: built.opset });
    expect(gradient?.toNumbers()).toEqual([0, 0, 1, 1, 1, 1, 1, 0, 0]);
  });
});

describe("quantised numbers that no rule reads", () => {
  const differentiate = (inner: string) => () =>
    appendBackward(
      buildText({
        text: `${opset}f (float[2,4] x) => (float[2,4] y) <float s = {0.1}, int8 z = {3}, int8 one = {1}> {
          q = QuantizeLinear (x, s, z) ${inner} y = DequantizeLinear (r, s, z)
        }`,
      }),
    );
  it("are refused, not dropped", () => {
    expect(differentiate("r = Add (q, one)")).toThrow(/node .*Add|Add lies/);
    expect(differentiate("c = Cast <to = 6> (q) r = Cast <to = 3> (c)")).toThrow(/Cast/);
  });
});
