/** PEFT's rules for choosing modules by name: what PEFT itself answers for a table of options and paths. */
import { describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { isPattern } from "../../src/adapt/pattern.ts";
import {
  isAllLinear,
  isSaved,
  isTargeted,
  matchPattern,
  type TargetOptions,
} from "../../src/adapt/targets.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";

const paths = [
  "q_proj",
  "xq_proj",
  "model.layers.0.self_attn.q_proj",
  "model.layers.1.self_attn.q_proj",
  "model.layers.11.self_attn.q_proj",
  "model.layers.1.self_attn.xq_proj",
  "layers.1.self_attn.q_proj",
  "model.blocks.1.q_proj",
  "model.h.1.layers.2.q_proj",
  "lm_head",
  "head",
  "model.head.q_proj",
  "encoder.layer.1.attention.self.query",
] as const;

/** Positions in `paths` for which `check_target_module_exists` of PEFT 0.21.2 was true. */
const table: readonly (readonly [options: Partial<TargetOptions>, hits: readonly number[]])[] = [
  [{ target_modules: ["q_proj"] }, [0, 2, 3, 4, 6, 7, 8, 11]],
  [{ target_modules: "q_proj" }, [0]],
  [{ target_modules: ".*q_proj" }, [0, 1, 2, 3, 4, 5, 6, 7, 8, 11]],
  [{ target_modules: ".*\\.q_proj" }, [2, 3, 4, 6, 7, 8, 11]],
  [{ target_modules: "(model|encoder).*(q_proj|query)" }, [2, 3, 4, 5, 7, 8, 11, 12]],
  [{ target_modules: "a|model.*" }, [2, 3, 4, 5, 7, 8, 11]],
  [{ target_modules: ["head"] }, [10]],
  [{ target_modules: ["self_attn.q_proj"] }, [2, 3, 4, 6]],
  [{ target_modules: [".*q_proj"] }, []],
  [{ target_modules: ["q_proj"], exclude_modules: ["self_attn.q_proj"] }, [0, 7, 8, 11]],
  [{ target_modules: ["q_proj"], exclude_modules: "model\\.layers\\.1\\..*" }, [0, 2, 4, 6, 7, 8, 11]],
  [{ target_modules: ["q_proj"], exclude_modules: "layers" }, [0, 2, 3, 4, 6, 7, 8, 11]],
  [{ target_modules: ["q_proj"], layers_to_transform: 1 }, [0, 3, 7, 8]],
  [{ target_modules: ["q_proj"], layers_to_transform: [0, 11] }, [0, 2, 4]],
  [{ target_modules: ["q_proj"], layers_to_transform: [] }, [0, 2, 3, 4, 6, 7, 8, 11]],
  [{ target_modules: ["q_proj"], layers_to_transform: 0 }, [0, 2]],
  [{ target_modules: ["q_proj"], layers_to_transform: [1], layers_pattern: "layers" }, [0, 3, 6]],
  [{ target_modules: ["q_proj"], layers_to_transform: [2], layers_pattern: "layers" }, [0, 8]],
  [{ target_modules: ["q_proj"], layers_to_transform: [1], layers_pattern: ["blocks", "h"] }, [0, 7, 8]],
  [{ target_modules: ["q_proj"], layers_to_transform: [1], layers_pattern: "" }, [0, 3, 7, 8]],
  [
    { target_modules: ["q_proj", "model.layers.0.self_attn.q_proj"], layers_to_transform: [1] },
    [0, 2, 3, 7, 8],
  ],
];

const nothing: TargetOptions = {
  target_modules: null,
  exclude_modules: null,
  layers_to_transform: null,
  layers_pattern: null,
  modules_to_save: null,
};

describe("isTargeted", () => {
  it.each(table)("%j", (options, hits) => {
    const chosen = paths.filter((path) => isTargeted({ ...nothing, ...options }, path));
    expect(chosen).toEqual(hits.map((index) => paths[index]));
  });
});

describe("matchPattern", () => {
  /** For each list of keys, the index of the key that `get_pattern_key` of PEFT 0.21.2 gave for each path; -1 for none. */
  const rows: readonly (readonly [keys: readonly string[], found: readonly number[]])[] = [
    [
      ["q_proj", "layers.1.self_attn.q_proj"],
      [0, -1, 0, 0, 0, -1, 0, 0, 0, -1, -1, 0, -1],
    ],
    [
      ["layers.1.self_attn.q_proj", "q_proj"],
      [1, -1, 1, 0, 1, -1, 0, 1, 1, -1, -1, 1, -1],
    ],
    [["^model.layers.1.*q_proj"], [-1, -1, -1, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1]],
    [["layers.1"], paths.map(() => -1)],
    [["self_attn.*"], [-1, -1, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1]],
    [["q"], paths.map(() => -1)],
    [["a|.*q_proj"], [0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, 0, -1]],
    [["proj|query"], [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0]],
  ];
  it.each(rows)("%j", (keys, found) => {
    const patterns = Object.fromEntries(keys.map((key, index) => [key, index]));
    expect(paths.map((path) => matchPattern(patterns, path) ?? -1)).toEqual(found);
  });
});

describe("isSaved", () => {
  it("tests for a plain suffix, also inside a segment", () => {
    const saved = (name: string): string[] => paths.filter((path) => isSaved([name], path));
    expect(saved("head")).toEqual(["lm_head", "head"]);
    expect(saved("self_attn.q_proj")).toHaveLength(4);
    expect(isSaved(["norm"], "model.layers.0.input_layernorm")).toBe(true);
    expect(isSaved(["norm"], "model.norm.weight")).toBe(false);
  });
});

describe("isAllLinear", () => {
  it("takes the word in any case, and as a string only", () => {
    expect(["all-linear", "ALL-Linear"].map(isAllLinear)).toEqual([true, true]);
    expect(isAllLinear(["all-linear"])).toBe(false);
    expect(isAllLinear(null)).toBe(false);
  });
});

describe("Python's notation", () => {
  it.each([
    [".*(?P<kind>q|v)_proj", true],
    ["(?i).*Q_PROJ", true],
    ["\\Amodel.*q_proj\\Z", true],
    ["(?P<a>.)odel\\.layers.*q_pro(?P=a)?j", true],
    ["(?i)lm_head", false],
  ])("%s", (expression, hit) => {
    expect(isPattern(expression)).toBe(true);
    const options = { ...nothing, target_modules: expression };
    expect(isTargeted(options, "model.layers.0.self_attn.q_proj")).toBe(hit);
  });
});

describe("options that PEFT refuses", () => {
  const refused: readonly (readonly [method: string, options: Record<string, unknown>, words: string])[] = [
    ["lora", { target_modules: "*q_proj" }, "target_modules"],
    ["lora", { target_modules: "a", exclude_modules: "(" }, "exclude_modules"],
    ["lora", { rank_pattern: { "q(": 2 } }, "rank_pattern"],
    ["lora", { target_modules: ".*", layers_to_transform: [1] }, "layers_to_transform"],
    ["lora", { target_modules: "all-linear", layers_to_transform: 1 }, "layers_to_transform"],
    ["lora", { target_modules: ".*", layers_pattern: "layers" }, "layers_pattern"],
    ["lora", { target_modules: ["q"], layers_pattern: "layers" }, "layers_pattern"],
    ["ia3", { target_modules: ["k"], feedforward_modules: ["down"] }, "feedforward_modules"],
    ["ia3", { feedforward_modules: "+" }, "feedforward_modules"],
  ];
  it.each(refused)("%s %j", (method, options, option) => {
    expect(() => bindAdapter(method, options)).toThrow(DiagnosticError);
    expect(() => bindAdapter(method, options)).toThrow(new RegExp(`E_BAD_OPTION .*"${option}"`));
    expect(() => bindAdapter(method, options)).toThrow(
      /expected {2}(a regular|regular|nothing|some|layers|a list)/,
    );
  });

  it("does not refuse what has no effect either way", () => {
    expect(() => bindAdapter("lora", { target_modules: ".*", layers_to_transform: [] })).not.toThrow();
    expect(() => bindAdapter("ia3", { target_modules: ".*", feedforward_modules: ["down"] })).not.toThrow();
  });
});
