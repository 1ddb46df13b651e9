/** Training graphs of whole models hold no operator whose sums depend on the order of threads. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { readModel } from "../../src/onnx/read.ts";
import { parseModel } from "../../src/text/parse.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";

const models = ["llama", "bert", "gpt2", "t5", "vit", "smallconv"];
const files = models.flatMap((model) =>
  ["model.onnx", "model-dynamo.onnx", "model-unfolded.onnx"]
    .map((name) => ({ title: `${model}/${name}`, file: join(oracleRoot, "models", model, name) }))
    .filter(({ file }) => existsSync(file)),
);

/** Scatters that add, by node name: with repeated indices, ScatterND loses sums when two threads run. */
function racingNodes(graph: Graph): string[] {
  return [...graph.allNodes()]
    .filter((node) => node.op === "ScatterND" && node.string("reduction", "none") !== "none")
    .map(({ name }) => name);
}

describe("training graphs", () => {
  it("are searched, bodies included", () => {
    const { graph } =
      parseModel(`f (float[2] x, int64[3,1] i, float[3] u, bool c) => (float[2] y, float[2] z) {
      y = ScatterND <reduction = "none"> (x, i, u)
      z = If (c) <
        then_branch = g () => (float[2] t) { ["here"] t = ScatterND <reduction = "add"> (x, i, u) },
        else_branch = h () => (float[2] e) { e = Neg (x) }
      >
    }`);
    expect(racingNodes(graph)).toEqual(["here"]);
  });

  it.each(files)("$title", ({ file }) => {
    // Everything that LoRA can adapt, embeddings included: their gradients are sums over repeated ids.
    const norms = ".*([Nn]orm|ln_).*";
    const { graphs } = compileGraphs(readModel(file), {
      method: { name: "lora", options: { target_modules: ".*", exclude_modules: norms, r: 4 } },
    });
    const scattering = [graphs.train, graphs.grad].flatMap(({ graph }) => [...graph.allNodes()]);
    expect(scattering.length).toBeGreaterThan(100);
    for (const { graph } of Object.values(graphs)) expect(racingNodes(graph)).toEqual([]);
  });
});
