/** What passes refuse, each with a diagnostic that names the thing. */
import { describe, expect, it } from "vitest";
import fold from "../../passes/fold.ts";
import inlineFunctions from "../../passes/inline-functions.ts";
import upgradeOpset from "../../passes/upgrade-opset.ts";
import { Model } from "../../src/ir/model.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { runPipeline } from "../../src/pass/manager.ts";
import { parseModel } from "../../src/text/parse.ts";

const registry = [fold, inlineFunctions, upgradeOpset];

/** Runs a pipeline over a text with an opset, for its error. */
function attempt(pipeline: string, opset: number, text: string): () => void {
  const model = parseModel(`<ir_version: 8, opset_import: ["" : ${opset}, "local" : 1]>\n${text}`);
  return () => void runPipeline(model, pipeline, { registry });
}

const fn = (text: string): string => `<domain: "local", opset_import: ["" : 20, "local" : 1]>\n${text}\n`;

describe("upgrade-opset", () => {
  it("refuses opsets below 7", () => {
    const run = attempt("upgrade-opset", 6, "f (float[2] x) => (float[2] y) { y = Exp (x) }");
    expect(run).toThrow(expect.objectContaining({ code: "E_OLD_OPSET" }));
  });

  it("refuses opsets above those that are known", () => {
    const run = attempt("upgrade-opset", 29, "f (float[2] x) => (float[2] y) { y = Exp (x) }");
    expect(run).toThrow(expect.objectContaining({ code: "E_NEW_OPSET" }));
  });

  it("refuses targets that the runtime does not load", () => {
    const run = attempt("upgrade-opset{to=27}", 17, "f (float[2] x) => (float[2] y) { y = Exp (x) }");
    expect(run).toThrow(expect.objectContaining({ code: "E_BAD_OPTION" }));
  });
});

describe("inline-functions", () => {
  const main = "f (float[2] x) => (float[2] y) { y = local.first (x) }\n";

  it("refuses functions that call each other in a circle", () => {
    const first = fn("first (x) => (y) { y = local.second (x) }");
    const second = fn("second (x) => (y) { y = local.first (x) }");
    const run = attempt("inline-functions", 20, main + first + second);
    expect(run).toThrow(expect.objectContaining({ code: "E_RECURSIVE_FUNCTION" }));
    expect(run).toThrow(/local::first -> local::second -> local::first/);
  });

  it("refuses calls with too many operands, and results that are operands left out", () => {
    const none = attempt(
      "inline-functions",
      20,
      main + fn("first () => (y) { y = Constant <value_float = 1.0> () }"),
    );
    expect(none).toThrow(expect.objectContaining({ code: "E_FUNCTION_CALL" }));
    const passed = attempt("inline-functions", 20, main + fn("first (x, z) => (z) { y = Exp (x) }"));
    expect(passed).toThrow(/result 0 is an operand that is left out/);
  });

  it("refuses two versions of a domain other than ai.onnx", () => {
    const opsets = '<domain: "local", opset_import: ["" : 20, "com.microsoft" : 2]>\n';
    const text = `${main}${opsets}first (x) => (y) { y = com.microsoft.QuickGelu (x) }`;
    const model = parseModel(
      `<ir_version: 8, opset_import: ["" : 20, "local" : 1, "com.microsoft" : 1]>\n${text}`,
    );
    const run = () => runPipeline(model, "inline-functions", { registry });
    expect(run).toThrow(expect.objectContaining({ code: "E_FUNCTION_OPSET" }));
  });
});

describe("fold", () => {
  /** Neg of a constant of `size` elements whose bytes must not be asked for. */
  function folded(size: number, options: string): boolean {
    const model = new Model();
    const compute = (): never => {
      throw new Error("the data was read");
    };
    const tensor = new Tensor("int64", [size], { kind: "lazy", compute });
    const b = new OpBuilder({ graph: model.graph }, 20);
    model.graph.addOutput(b.neg(model.graph.addInitializer(tensor, "w")));
    return runPipeline(model, `fold${options}`, { registry }).changed;
  }

  it("reads no operand that is larger than asked for", () => {
    expect(folded(4097, "")).toBe(false);
    expect(folded(3, "{read=2}")).toBe(false);
    expect(() => folded(3, "{read=3}")).toThrow(/the data was read/);
  });

  it("spends no more work than asked for", () => {
    expect(folded(8, "{work=15}")).toBe(false);
    expect(() => folded(8, "{work=16}")).toThrow(/the data was read/);
  });
});
