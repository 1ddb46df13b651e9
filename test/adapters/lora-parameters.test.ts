/** LoRA on parameters by their own names, beside or without adapted modules. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { readModel } from "../../src/onnx/read.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";

const model = readModel(join(oracleRoot, "models", "llama", "model.onnx"));

function compiled(options: Readonly<Record<string, unknown>>): Compiled {
  return compileGraphs(model, { method: { name: "lora", options: { r: 2, ...options } } });
}

/** What is adapted in the first layer, with the rank of each. */
function adaptedIn({ state }: Compiled): string[] {
  return [...state.tensors].flatMap(([key, { dims }]) => {
    const [, path] = /layers\.0\.(.*)\.lora_A\.weight$/.exec(key) ?? [];
    return path === undefined ? [] : [`${path} ${dims[0]}`];
  });
}

describe("target_parameters", () => {
  it("adapt linear weights alone, where no module is asked for", () => {
    const given = compiled({ target_modules: [], target_parameters: ["down_proj.weight"] });
    expect(adaptedIn(given)).toEqual(["mlp.down_proj 2"]);
  });

  it("stand beside modules, with ranks by the parameter's path", () => {
    const given = compiled({
      target_modules: ["q_proj"],
      target_parameters: ["mlp.down_proj.weight"],
      rank_pattern: { "down_proj.weight": 3, down_proj: 4 },
    });
    expect(adaptedIn(given).sort()).toEqual(["mlp.down_proj 3", "self_attn.q_proj 2"]);
  });

  it("are refused for modules that are adapted as such, and beside variants", () => {
    const twice = { target_modules: ["q_proj"], target_parameters: ["q_proj.weight"] };
    expect(() => compiled(twice)).toThrow("target_parameters");
    const dora = { target_modules: ["q_proj"], target_parameters: ["v_proj.weight"], use_dora: true };
    expect(() => compiled(dora)).toThrow("use_dora and target_parameters exclude each other");
    expect(() => compiled({ target_modules: [], target_parameters: ["nothing.weight"] })).toThrow(
      "E_TARGET_NOT_FOUND",
    );
    expect(() => compiled({ target_modules: [], target_parameters: ["down_proj.bias"] })).toThrow(
      "E_BAD_OPTION",
    );
  });
});
