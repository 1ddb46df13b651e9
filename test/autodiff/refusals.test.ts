/** What has no gradient is refused by name and way, and only where a gradient would pass. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import type { Diagnostic } from "../../src/diagnostics/define.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { parseModel } from "../../src/text/parse.ts";
import { valueNamed } from "./text-case.ts";

/** The diagnostic that differentiating `y` by `x` meets; undefined where it meets none. */
function refusal(text: string): Diagnostic | undefined {
  const model = parseModel(text);
  inferModel(model);
  const { graph, opset } = model;
  const value = valueNamed(graph, "y");
  const gradient = graph.addInput({ name: "seed", type: value.type });
  try {
    differentiate(graph, [{ value, gradient }], [valueNamed(graph, "x")], opset);
    return undefined;
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0];
    throw error;
  }
}

describe("E_NO_GRADIENT", () => {
  // Every operator that yields floats has a gradient, so Sinh loses its own for these tests.
  const sinh = lookupOp("", "Sinh");
  const rule = sinh?.gradient;
  beforeAll(() => Object.assign(sinh ?? {}, { gradient: { kind: "none", reason: "nobody wrote one" } }));
  afterAll(() => Object.assign(sinh ?? {}, { gradient: rule }));

  it("names node, reason and the way from the variable", () => {
    const found = refusal(`f (float[2] x) => (float[2] y) {
      ["first"] a = Sin (x)
      ["choice"] b = Sinh (a)
      y = Exp (b)
    }`);
    expect(found).toMatchObject({
      code: "E_NO_GRADIENT",
      place: '"x" -> Sin "first" -> Sinh "choice"',
      got: "nobody wrote one",
    });
    expect(found?.message).toContain('node "choice" (Sinh)');
  });

  it("is not raised for a node that nothing differentiable reaches", () => {
    expect(
      refusal("f (float[2] x) => (float[2] y) { a = Floor (x) b = Sinh (a) y = Mul (x, b) }"),
    ).toBeUndefined();
  });

  it("is not raised for a node that the seed does not depend on", () => {
    expect(
      refusal("f (float[2] x) => (float[2] y) { a = Sin (x) b = Sinh (a) y = Exp (a) }"),
    ).toBeUndefined();
  });

  it("shortens long ways in the middle", () => {
    const chain = Array.from(
      { length: 12 },
      (_, i) => `["n${i}"] v${i} = Sin (${i === 0 ? "x" : `v${i - 1}`})`,
    );
    const found = refusal(`f (float[2] x) => (float[2] y) {
      ${chain.join("\n")}
      a = Identity (v11)
      ["choice"] b = Sinh (a)
      y = Exp (b)
    }`);
    expect(found?.place).toBe(
      '"x" -> Sin "n0" -> Sin "n1" -> Sin "n2" -> (7 more) -> Sin "n10" -> Sin "n11" -> Identity -> Sinh "choice"',
    );
  });
});

describe("E_UNKNOWN_OPERATOR", () => {
  it("names domain, node and way", () => {
    const found = refusal(`<ir_version: 10, opset_import: ["" : 20, "my.ops" : 1]>
    f (float[2] x) => (float[2] y) {
      ["act"] a = my.ops.Swoosh (x)  # float[2]
      y = Exp (a)
    }`);
    expect(found).toMatchObject({
      code: "E_UNKNOWN_OPERATOR",
      place: '"x" -> Swoosh "act"',
      got: "my.ops.Swoosh",
    });
  });

  it("is not raised off the way", () => {
    expect(
      refusal(`<ir_version: 10, opset_import: ["" : 20, "my.ops" : 1]>
      f (float[2] x, float[2] z) => (float[2] y) {
        a = my.ops.Swoosh (z)  # float[2]
        y = Mul (x, a)
      }`),
    ).toBeUndefined();
  });
});

describe("E_UNKNOWN_TYPE", () => {
  it("names the value whose rank is not known", () => {
    const found = refusal(
      'f (float[2] x, float[] z) => (float[] y) { ["sum"] a = Add (x, z) y = Softmax (a) }',
    );
    expect(found).toMatchObject({ code: "E_UNKNOWN_TYPE" });
    expect(found?.message).toMatch(/the rank of "(a|y)", which /);
  });

  it("is raised for what is not differentiated, too, since rules read it", () => {
    const found = refusal(
      'f (float[2,3] x, float[] z) => (float[2,4] y) { ["product"] y = MatMul (x, z)  # float[2,4]\n }',
    );
    expect(found).toMatchObject({ code: "E_UNKNOWN_TYPE", place: 'node "product" (MatMul)' });
    expect(found?.message).toContain('the rank of "z"');
  });

  it("is not raised for sizes", () => {
    expect(
      refusal("f (float[6] x, int64[] s) => (float[2,3] y) { y = Reshape (x, s)  # float[2,3]\n }"),
    ).toBeUndefined();
  });
});
