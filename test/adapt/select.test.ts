/** The choice of sites: what is adapted, and what is said where nothing is. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { bindAdapter } from "../../passes/adapt.ts";
import { basePath, isInsideSaved, type Selection, selectSites } from "../../src/adapt/select.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import { findHead, findSites } from "../../src/analysis/sites.ts";
import { type Diagnostic, DiagnosticError } from "../../src/diagnostics/define.ts";
import { parseModel } from "../../src/text/parse.ts";

const text = `f (float[n,4] x, int64[n] ids, float[n,2,5,5] image) => (float[n,2] logits, float[n,4] e, float[n,4,5,5] c) <
  float[4,4] "layers.0.q_proj.weight" = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7},
  float[4,4] "layers.0.v_proj.weight" = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7},
  float[4,2] "lm_head.weight" = {1,2,3,4,5,6,7,8},
  float[3,4] "embed.weight" = {1,2,3,4,5,6,7,8,9,1,2,3},
  float[4,1,1,1] "conv.weight" = {1,2,3,4}
> {
  a = MatMul (x, "layers.0.q_proj.weight")
  b = MatMul (a, "layers.0.v_proj.weight")
  logits = MatMul (b, "lm_head.weight")
  e = Gather ("embed.weight", ids)
  c = Conv <group = 2> (image, "conv.weight")
}`;

const targeting = z.looseObject(targetOptions);

function select(options: Record<string, unknown>, graphText = text, method = "lora"): Selection {
  const { graph } = parseModel(graphText);
  const adapter = bindAdapter(method, options);
  const sites = findSites(graph);
  const [logits] = graph.outputs;
  const head = logits === undefined ? undefined : findHead(sites, logits);
  return selectSites(adapter, targeting.parse(adapter.options), { sites, head, model: "m.onnx" });
}

function chosen(options: Record<string, unknown>, graphText = text, method = "lora"): string[] {
  return select(options, graphText, method).sites.map(({ path }) => path);
}

function refusal(options: Record<string, unknown>, graphText = text, method = "lora"): Diagnostic {
  try {
    select(options, graphText, method);
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0];
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("targets by name", () => {
  it("choose in execution order, whatever the order of names", () => {
    expect(chosen({ target_modules: ["v_proj", "q_proj"] })).toEqual(["layers.0.q_proj", "layers.0.v_proj"]);
    expect(chosen({ target_modules: ".*(proj|embed)" })).toEqual([
      "layers.0.q_proj",
      "layers.0.v_proj",
      "embed",
    ]);
  });

  it("leave out what is excluded or saved whole", () => {
    const targets = { target_modules: ["q_proj", "v_proj"] };
    expect(chosen({ ...targets, exclude_modules: ["q_proj"] })).toEqual(["layers.0.v_proj"]);
    expect(chosen({ ...targets, modules_to_save: ["v_proj"] })).toEqual(["layers.0.q_proj"]);
    expect(chosen({ ...targets, modules_to_save: ["nothing"] })).toHaveLength(2);
  });

  it("choose every call of a shared module", () => {
    const twice = `f (float[n,2] x) => (float[n,2] y) <float[2,2] w = {1, 2, 3, 4}> {
      ["/fc/MatMul"] a = MatMul (x, w)
      ["/fc/MatMul_1"] y = MatMul (a, w)
    }`;
    expect(chosen({ target_modules: ["fc"] }, twice)).toEqual(["fc", "fc#1"]);
    expect(findSites(parseModel(twice).graph).map(basePath)).toEqual(["fc", "fc"]);
  });
});

describe("all-linear", () => {
  it("is every linear layer but the head", () => {
    expect(select({ target_modules: "all-linear" })).toMatchObject({ remarks: [] });
    expect(chosen({ target_modules: "all-linear" })).toEqual(["layers.0.q_proj", "layers.0.v_proj"]);
    expect(chosen({ target_modules: "all-linear", exclude_modules: ["q_proj"] })).toEqual([
      "layers.0.v_proj",
    ]);
  });

  it("takes convolutions, then the head, where no linear layer is left, and says so", () => {
    const conv = `f (float[n,2,5,5] image) => (float[n,2] logits) <
      float[2,2,3,3] "conv.weight" = {${Array.from({ length: 36 }, (_, i) => i)}}, float[2,2] "fc.weight" = {1,2,3,4}, int64[2] axes = {2, 3}
    > {
      c = Conv (image, "conv.weight")
      m = ReduceMean <keepdims = 0> (c, axes)
      logits = MatMul (m, "fc.weight")
    }`;
    const inner = select({ target_modules: "all-linear" }, conv);
    expect(inner.sites.map(({ path }) => path)).toEqual(["conv"]);
    expect(inner.remarks.join()).toContain("its convolutions are adapted");
    const head = select({ target_modules: "all-linear", exclude_modules: ["conv"] }, conv);
    expect(head.sites.map(({ path }) => path)).toEqual(["fc"]);
    expect(head.remarks.join()).toContain("only the head is left");
  });
});

describe("refusals", () => {
  it("of targets that nothing matches offer near names", () => {
    const found = refusal({ target_modules: ["q_porj"] });
    expect(found).toMatchObject({ code: "E_TARGET_NOT_FOUND", got: "q_porj" });
    expect(found.expected).toContain("did you mean q_proj");
    expect(refusal({ target_modules: ["embedd"] }).expected).toContain("embed");
  });

  it("of targets that resemble nothing list what there is", () => {
    expect(refusal({ target_modules: ["zzzzzzzzzz"] })).toMatchObject({
      code: "E_TARGET_NOT_FOUND",
      expected: "one of layers.0.q_proj, layers.0.v_proj, lm_head, embed, conv",
    });
  });

  it("of targets that are all excluded or saved name both", () => {
    expect(refusal({ target_modules: ["q_proj"], exclude_modules: ["q_proj"] })).toMatchObject({
      code: "E_TARGET_ALL_EXCLUDED",
      got: "excluded or saved: q_proj",
    });
    expect(refusal({ target_modules: ["lm_head"], modules_to_save: ["head"] })).toMatchObject({
      code: "E_TARGET_ALL_EXCLUDED",
      got: "excluded or saved: head",
    });
  });

  it("of a request without targets", () => {
    expect(refusal({}).code).toBe("E_TARGET_MISSING");
    expect(refusal({ target_modules: [] }).code).toBe("E_TARGET_MISSING");
  });

  it("of a model without sites, which is named", () => {
    const bare = "f (float[2] x) => (float[2] y) { y = Exp (x) }";
    expect(refusal({ target_modules: "all-linear" }, bare)).toMatchObject({
      code: "E_NO_SITES",
      place: "m.onnx",
    });
  });

  it("of a site that the method does not take, with the reason", () => {
    expect(refusal({ target_modules: ["embed"] }, text, "ia3")).toMatchObject({
      code: "E_SITE_REFUSED",
      place: "embed",
      got: "it is of kind embedding",
    });
    const grouped = refusal({ target_modules: ["conv"], r: 3 });
    expect(grouped).toMatchObject({
      code: "E_SITE_REFUSED",
      got: "rank 3 is not a multiple of its 2 groups",
    });
    expect(refusal({ target_modules: ["q_proj"], r: 3, init_lora_weights: "orthogonal" }).got).toContain(
      "even rank",
    );
  });

  it("are not raised by all-linear, which passes by what it cannot take", () => {
    expect(chosen({ target_modules: "all-linear", r: 3 })).toEqual(["layers.0.q_proj", "layers.0.v_proj"]);
  });
});

describe("isInsideSaved", () => {
  it("holds for a module, what lies in it, and plain suffixes, as PEFT has it", () => {
    expect(isInsideSaved(["classifier"], "classifier")).toBe(true);
    expect(isInsideSaved(["classifier"], "classifier.dense")).toBe(true);
    expect(isInsideSaved(["head"], "lm_head")).toBe(true);
    expect(isInsideSaved(["classifier"], "pre_classifier.dense")).toBe(true);
    expect(isInsideSaved(["dense"], "classifier.dense_1")).toBe(false);
    expect(isInsideSaved([], "classifier")).toBe(false);
  });
});
