/** Turns Constant nodes into initializers, the one form of constants that later passes look for. */
import { z } from "zod";
import { constantOf, smallIntegers } from "../src/ir/constant.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { Node } from "../src/ir/node.ts";
import { replaceValue } from "../src/ir/replace.ts";
import { Tensor } from "../src/ir/tensor.ts";
import { definePass } from "../src/pass/define.ts";

export default definePass({
  name: "lift-constants",
  summary: "Turn Constant nodes into initializers",
  options: z.strictObject({}),
  statistics: { lifted: "Constant nodes turned into initializers" },
  run: (model, { stat }) => {
    const count = lift(model.graph);
    stat("lifted", count);
    return count > 0;
  },
});

/** Function bodies are left alone: ONNX gives them no initializers. */
function lift(graph: Graph): number {
  let count = 0;
  for (const node of graph.nodes()) {
    for (const body of node.subgraphs()) count += lift(body);
    const tensor = node.op === "Constant" && node.domain === "" ? tensorOf(node) : undefined;
    if (tensor === undefined) continue;
    const value = node.output(0);
    const constant = graph.addInitializer(tensor, value.name);
    constant.content = value.content ?? (tensor.dims.length <= 1 ? smallIntegers(tensor) : undefined);
    for (const [key, text] of value.metadata) constant.metadata.set(key, text);
    replaceValue(value, constant);
    graph.remove(node);
    count += 1;
  }
  return count;
}

/** The data of a Constant node; sparse data stays where it is. */
function tensorOf(node: Node): Tensor | undefined {
  const [attribute] = node.attributes.values();
  if (attribute?.kind === "string") return stringTensor([attribute.value], []);
  if (attribute?.kind === "strings") return stringTensor(attribute.value, [attribute.value.length]);
  return constantOf(node.output(0));
}

function stringTensor(texts: readonly (string | Uint8Array)[], dims: readonly number[]): Tensor {
  const encoder = new TextEncoder();
  const values = texts.map((text) => (typeof text === "string" ? encoder.encode(text) : text));
  return new Tensor("string", dims, { kind: "strings", values });
}
