/** Declared types that nodes contradict: refused at outputs where type or rank is wrong, else overruled with a remark. */
import { describe, expect, it } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { parseModel } from "../../src/text/parse.ts";
import { errorCode } from "../onnx/error-code.ts";

function model(output: string, opset = 20, middle = ""): string {
  return `<ir_version: 10, opset_import: ["" : ${opset}]>
    f (float[2, 3] x) => (${output} y) ${middle}
    { a = Relu (x)
      y = Transpose (a) }`;
}

function remarksOn(text: string): string[] {
  const parsed = parseModel(text);
  const remarks: string[] = [];
  runPasses(parsed, "infer-shapes", { onRemark: (_, message) => remarks.push(message) });
  return remarks;
}

describe.each([20, 17])("opset %i", (opset) => {
  it.each([
    ["rank", "float[3]"],
    ["element type", "float16[3, 2]"],
    ["kind", "seq(float[3, 2])"],
  ])("refuses another %s of an output", (_, output) => {
    expect(errorCode(() => makeGradient(parseModel(model(output, opset)), { of: ["y"] }))).toBe(
      "E_DECLARED_TYPE",
    );
    expect(errorCode(() => compileGraphs(parseModel(model(output, opset)), { task: "auto" }))).toBe(
      "E_DECLARED_TYPE",
    );
  });
});

it("overrules another size of an output, and says so", () => {
  const [remark, ...more] = remarksOn(model("float[3, 7]"));
  expect(remark).toContain('declares "y" as float32[3, 7], and Transpose makes it float32[3, 2]');
  expect(more).toEqual([]);
});

it("overrules what the file says of a value inside", () => {
  const [remark, ...more] = remarksOn(model("float[3, 2]", 20, "<float[9] a>"));
  expect(remark).toContain('declares "a" as float32[9], and Relu makes it float32[2, 3]');
  expect(more).toEqual([]);
});

it.each(["float[3, 2]", "float[n, m]", "float[]"])("says nothing of an output declared as %s", (output) => {
  expect(remarksOn(model(output))).toEqual([]);
});
