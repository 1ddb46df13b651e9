/** Carries graphs from an older opset of ai.onnx to a newer one by the upgrades that operator records declare. */
import { InternalError } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model, ModelFunction } from "../ir/model.ts";
import { Node } from "../ir/node.ts";
import { OpBuilder } from "../ops/builder.ts";
import { inferNode, type OnContradiction, setConstantFacts } from "../ops/infer.ts";
import { opOf } from "../ops/registry.ts";
import { upgradesBetween } from "../ops/versions.ts";

/** The first IR version that knows each opset, newest first (ONNX Versioning.md). */
const irVersions = [
  [25, 13],
  [24, 12],
  [23, 11],
  [21, 10],
  [19, 9],
  [15, 8],
  [12, 7],
  [11, 6],
  [10, 5],
  [9, 4],
] as const;

/** Lets a model import a version of ai.onnx, and raises its IR version to one that knows it and plain initializers. */
export function raiseImport(model: Model, opset: number): void {
  model.opsets.set("", opset);
  const needed = irVersions.find(([since]) => since <= opset)?.[1] ?? 3;
  model.irVersion = Math.max(model.irVersion, needed, 4);
}

/** Opset that nodes were written for: one for all, or each its own where bodies of functions came together. */
export type Origin = number | ((node: Node) => number);

/**
 * Upgrades every node of a graph and its bodies, inferring types on the way, since some upgrades ask for ranks.
 *
 * @returns how many upgrades were made.
 * @throws DiagnosticError E_NO_UPGRADE for a node whose upgrade needs what is not known.
 */
export function upgradeGraph(
  graph: Graph,
  from: Origin,
  to: number,
  onContradiction?: OnContradiction,
): number {
  for (const value of graph.initializers) setConstantFacts(value);
  let count = 0;
  for (const node of [...graph.nodes()]) {
    for (const body of node.subgraphs()) count += upgradeGraph(body, from, to);
    count += upgradeNode(node, typeof from === "number" ? from : from(node), to, onContradiction);
  }
  return count;
}

/** Upgrades a function's body. @returns as above. */
export function upgradeFunction(called: ModelFunction, from: number, to: number): number {
  const count = upgradeGraph(called.body, from, to);
  settleFunction(called, to);
  return count;
}

/** Says that a function's body now speaks an opset. Constants that rewriting made become nodes, since functions have no initializers. */
export function settleFunction({ body, opsets }: ModelFunction, opset: number): void {
  for (const value of body.initializers) {
    const node = new Node({ op: "Constant", inputs: [], attributes: { value: value.initializer } });
    Object.assign(node.output(0), { name: value.name, type: value.type, content: value.content });
    body.insert(node, body.first);
    value.replaceUses(node.output(0));
    body.removeInitializer(value);
  }
  opsets.set("", opset);
}

function upgradeNode(node: Node, from: number, to: number, onContradiction?: OnContradiction): number {
  const { graph } = node;
  if (graph === undefined) throw new InternalError(`${node.op} "${node.name}" is upgraded outside any graph`);
  const op = opOf(node);
  const [version] = op === undefined || op.domain !== "" ? [] : upgradesBetween(op, from, to);
  if (op === undefined || version === undefined) {
    inferNode(node, to, onContradiction);
    return 0;
  }
  const builder = new OpBuilder({ graph, before: node }, to);
  builder.source = node;
  const [previous, next] = [node.previous, node.next];
  try {
    op.upgrades[version]?.(node, builder);
  } catch (error) {
    if (!(error instanceof InternalError)) throw error;
    throw passErrors.E_NO_UPGRADE(node, from, to, error.message.replace(/^internal: /, ""));
  }
  // What the upgrade wrote, and the node itself where it is still there, speak `version` now.
  let count = 1;
  const written: Node[] = [];
  for (let at = previous?.next ?? graph.first; at !== undefined && at !== next; at = at.next)
    written.push(at);
  for (const each of written) count += upgradeNode(each, version, to, onContradiction);
  return count;
}
