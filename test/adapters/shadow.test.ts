/** ShadowPEFT's small decoder: its size, its targets, and the models that it is not made for. */
import { describe, expect, it } from "vitest";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { withRole } from "../../src/ir/role.ts";
import { readModel } from "../../src/onnx/read.ts";
import { readSlices } from "../../src/training/flatten.ts";

function compiled(model: string, options: Readonly<Record<string, unknown>>): Compiled {
  return compileGraphs(readModel(`fixtures/oracles/models/${model}/model.onnx`), {
    method: { name: "shadow", options },
    modulesToSave: [],
    ...(model === "bert" ? { task: "seq-cls" } : { task: "causal-lm" }),
  });
}

function shapes({ graphs }: Compiled): Map<string, readonly number[]> {
  const [param] = withRole(graphs.train.graph.inputs, "param");
  return new Map((param === undefined ? [] : readSlices(param)).map(({ key, shape }) => [key, shape]));
}

const backbone = "base_model.shadow_backbone.default.layers";

describe("shadow", () => {
  it("has as many blocks as asked for, of the inner width asked for", () => {
    const all = shapes(
      compiled("llama", { shadow_num_hidden_layers: 2, shadow_intermediate_size: 20, update_hidden_size: 3 }),
    );
    expect(all.get(`${backbone}.1.mlp.gate_proj.weight`)).toEqual([20, 32]);
    expect(all.get(`${backbone}.1.mlp.down_proj.weight`)).toEqual([32, 20]);
    expect(all.get(`${backbone}.1.self_attn.k_proj.weight`)).toEqual([16, 32]);
    expect(all.get("base_model.model.model.layers.0.shadow_update_gate.default.0.weight")).toEqual([3, 32]);
    expect(shapes(compiled("llama", {})).get(`${backbone}.0.mlp.down_proj.weight`)).toEqual([32, 48]);
  });

  it("adapts the targets alone, which follow each other", () => {
    const one = [...shapes(compiled("llama", { target_modules: ["layers.1"] })).keys()];
    expect(one.some((key) => key.includes("layers.1.shadow_up"))).toBe(true);
    expect(one.some((key) => key.includes("layers.0.shadow_up"))).toBe(false);
    expect(() => compiled("llama", { target_modules: ["layers.7"] })).toThrow(
      "none of its blocks is a target",
    );
  });

  it.each([
    ["gpt2", {}, "what enters its first block is not what its table of tokens yields"],
    ["llama", { shadow_num_hidden_layers: 3 }, "shadow_num_hidden_layers is 3, while it has 2 blocks"],
  ])("is refused for %s with %o", (model, options, reason) => {
    expect(() => compiled(model, options)).toThrow(reason);
  });

  it("is refused for other tasks than language models", () => {
    expect(() => compiled("bert", {})).toThrow(/E_NO_BLOCKS|E_METHOD_TASK/);
  });
});
