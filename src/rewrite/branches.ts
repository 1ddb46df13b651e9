/** Puts the branch that is taken in the place of an If whose condition is known. */
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import { isStandard } from "../ops/traits.ts";
import { isFilledWith } from "./match.ts";

/** Inlines branches in a graph and its bodies, inner ones first. @returns how many. */
export function inlineBranches(graph: Graph): number {
  let count = 0;
  for (const node of graph.nodes()) {
    for (const body of node.subgraphs()) count += inlineBranches(body);
    const branch = takenBranch(node);
    if (branch === undefined) continue;
    moveInto(graph, node, branch);
    count += 1;
  }
  return count;
}

function takenBranch(node: Node): Graph | undefined {
  if (node.op !== "If" || !isStandard(node.domain)) return undefined;
  const name = isFilledWith(node.input(0), 1)
    ? "then_branch"
    : isFilledWith(node.input(0), 0)
      ? "else_branch"
      : "";
  const attribute = node.attributes.get(name);
  return attribute?.kind === "graph" ? attribute.value : undefined;
}

function moveInto(graph: Graph, node: Node, branch: Graph): void {
  for (const value of branch.initializers) {
    if (value.initializer === undefined) continue;
    const constant = graph.addInitializer(value.initializer, value.name);
    constant.content = value.content;
    value.replaceUses(constant);
  }
  const results = [...branch.outputs];
  branch.setOutputs([]);
  for (const inner of [...branch.nodes()]) {
    branch.detach(inner);
    graph.insert(inner, node);
  }
  node.outputs.forEach((output, index) => {
    const result = results[index];
    if (output === null || result === undefined) return;
    result.type ??= output.type;
    replaceValue(output, result);
  });
  graph.remove(node);
}
