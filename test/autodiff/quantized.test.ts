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

  it("named axes", async () => {
    await checkPath({
      text: `f (float[n,4] x) => (float[m,4] y) ${parameters} {
        q = QuantizeLinear (x, s, z) r = Concat <axis = 0> (q, q) y = DequantizeLinear (r, s, z)
      }`,
      sizes: { n: 2, m: 4 },
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
