/** Brings graphs of an opset that the runtime does not load yet back to the newest that it does. */
import { InternalError } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model, ModelFunction } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { OpBuilder } from "../ops/builder.ts";
import { inferNode, setConstantFacts } from "../ops/infer.ts";
import { replaceNode } from "../ops/kernels/replace-node.ts";
import { opOf } from "../ops/registry.ts";
import { schemaVersions } from "../ops/schema-versions.ts";
import { isStandard } from "../ops/traits.ts";
import { versionAt } from "../ops/versions.ts";
import { settleFunction } from "./upgrade.ts";

/** The IR version of the newest opset that ONNX Runtime 1.30 loads. */
const newestIrVersion = 13;

/**
 * Rewrites every node of a graph and its bodies to what `to` can say: by the downgrade of its record, or for an operator that is newer
 * than `to` by the decomposition that its gradient is made of.
 *
 * @returns how many nodes were rewritten.
 * @throws DiagnosticError E_NEW_OPERATOR for a node that says what `to` cannot.
 */
export function lowerGraph(graph: Graph, from: number, to: number): number {
  for (const value of graph.initializers) setConstantFacts(value);
  let count = 0;
  for (const node of [...graph.nodes()]) {
    for (const body of node.subgraphs()) count += lowerGraph(body, from, to);
    count += lowerNode(node, from, to);
  }
  return count;
}

/** Lowers a function's body. @returns as above. */
export function lowerFunction(called: ModelFunction, from: number, to: number): number {
  const count = lowerGraph(called.body, from, to);
  settleFunction(called, to);
  return count;
}

/** Lets a model import an older version of ai.onnx, and lowers its IR version to the one that came with it. */
export function limitImport(model: Model, opset: number): void {
  model.opsets.set("", opset);
  model.irVersion = Math.min(model.irVersion, newestIrVersion);
}

function lowerNode(node: Node, from: number, to: number): number {
  const op = opOf(node);
  const versions = isStandard(node.domain) ? schemaVersions(node.op) : undefined;
  const version = versions === undefined ? undefined : versionAt(versions, from);
  const { graph } = node;
  inferNode(node, from);
  if (version === undefined || version <= to || graph === undefined) return 0;
  const b = new OpBuilder({ graph, before: node }, to);
  b.source = node;
  if (versions !== undefined && versionAt(versions, to) === undefined) {
    if (op?.gradient.kind !== "expand")
      throw passErrors.E_NEW_OPERATOR(node, from, to, "no decomposition into older operators");
    const open = node.inputs.find((input) => input !== null && input.tensorType?.shape === undefined);
    if (open != null)
      throw passErrors.E_NEW_OPERATOR(
        node,
        from,
        to,
        `a decomposition by the rank of "${open.name}", which is not known`,
      );
    replaceNode(node, op.expand(node, b));
    return 1;
  }
  const rewrite = op?.downgrades[version];
  if (rewrite === undefined) return 0;
  try {
    rewrite(node, b);
  } catch (error) {
    if (!(error instanceof InternalError)) throw error;
    throw passErrors.E_NEW_OPERATOR(node, from, to, error.message.replace(/^internal: /, ""));
  }
  return 1;
}
