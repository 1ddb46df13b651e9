/** Replaces chains of shape arithmetic by the fewest nodes that compute the same. */
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../../ops/builder.ts";
import { removeDead } from "../dead.ts";
import { isShapeNode, KeptNodes } from "./chain.ts";
import { ShapeScope } from "./scope.ts";
import { type Plan, planContent } from "./synthesis.ts";
import { relaxContent } from "./targets.ts";

/** How many operands were given another shape vector. */
export interface ShapeCounts {
  /** Now constant. */
  constant: number;
  /** Now read or computed more cheaply. */
  cheaper: number;
}

/**
 * Walks a graph once, in order. Each shape vector that a node outside of shape arithmetic reads is rebuilt from axes of
 * tensors, where that takes fewer nodes than its chain, which then goes unless others need it.
 */
export function foldShapes(graph: Graph, opset: number, counts: ShapeCounts, outer?: ShapeScope): void {
  const scope = new ShapeScope(outer);
  const kept = new KeptNodes();
  const b = new OpBuilder({ graph }, opset);
  for (const output of graph.outputs) kept.keep(output);
  for (const input of graph.inputs) scope.addSources(input);
  for (const node of graph.nodes()) {
    for (const body of node.subgraphs()) foldShapes(body, opset, counts, scope);
    if (isShapeNode(node)) {
      if (kept.has(node)) for (const output of node.outputs) if (output !== null) scope.addValue(output);
      continue;
    }
    b.before = node;
    b.source = node;
    node.inputs.forEach((operand, index) => {
      if (operand?.content === undefined) return;
      const plan = cheaperPlan(node, index, operand, scope, kept);
      if (plan === undefined) keepAvailable(operand, kept, scope);
      else replaceOperand(node, index, operand, plan, b, kept, scope, counts);
    });
    for (const output of node.outputs) if (output !== null) scope.addSources(output);
  }
}

/** A plan that adds fewer nodes than would go; undefined where the operand is as cheap as it gets. */
function cheaperPlan(
  node: Node,
  index: number,
  operand: Value,
  scope: ShapeScope,
  kept: KeptNodes,
): Plan | undefined {
  const type = operand.tensorType;
  // What a body reads from around it is computed once there, and not again for each iteration.
  if (type?.dtype !== "int64" || type.shape === undefined || operand.producer?.graph !== node.graph)
    return undefined;
  const contents = [relaxContent(node, index), operand.content];
  let best: Plan | undefined;
  for (const content of contents) {
    const plan = content === undefined ? undefined : planContent(content, type.shape.length, scope);
    if (plan !== undefined && (best === undefined || plan.cost < best.cost)) best = plan;
  }
  return best !== undefined && best.cost < kept.cost(operand) ? best : undefined;
}

function keepAvailable(operand: Value, kept: KeptNodes, scope: ShapeScope): void {
  for (const node of kept.keep(operand))
    for (const output of node.outputs) if (output !== null) scope.addValue(output);
}

function replaceOperand(
  node: Node,
  index: number,
  operand: Value,
  plan: Plan,
  b: OpBuilder,
  kept: KeptNodes,
  scope: ShapeScope,
  counts: ShapeCounts,
): void {
  const value = plan.build(b);
  node.setInput(index, value);
  if (value.producer === undefined) counts.constant += 1;
  else counts.cheaper += 1;
  keepAvailable(value, kept, scope);
  if (operand.producer !== undefined) removeDead(operand.producer);
}
