/** Checks that a model's IR is well formed: definitions before uses, uses in step, results owned once. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "./graph.ts";
import type { Model } from "./model.ts";
import type { Node } from "./node.ts";
import type { Use, Value } from "./value.ts";

/**
 * Throws at the first broken invariant of the main graph or a function body. Run after every pass in tests and
 * under `--verify-each`; files are checked at reading, so a failure here is a bug of the pass before.
 *
 * @throws InternalError naming the node and the invariant.
 */
export function verifyModel(model: Model): void {
  verifyGraph(model.graph, new Set());
  for (const { body } of model.functions.values()) verifyGraph(body, new Set());
}

function verifyGraph(graph: Graph, outer: ReadonlySet<Value>): void {
  const defined = new Set(outer);
  const define = (value: Value, where: string): void => {
    if (defined.has(value))
      throw new InternalError(`value "${value.name}" is defined twice, again at ${where}`);
    defined.add(value);
  };
  for (const value of [...graph.inputs, ...graph.initializers]) {
    define(value, `graph "${graph.name}"`);
    if (value.graph !== graph)
      throw new InternalError(`"${value.name}" does not know its graph "${graph.name}"`);
    if (value.producer !== undefined) throw new InternalError(`input "${value.name}" has a producer`);
  }
  let count = 0;
  for (const node of graph.nodes()) {
    count += 1;
    verifyNode(node, graph, defined);
    node.outputs.forEach((output, index) => {
      if (output === null) return;
      if (output.producer !== node || output.outputIndex !== index) {
        throw new InternalError(`${describe(node)} does not own its output "${output.name}"`);
      }
      define(output, describe(node));
    });
  }
  if (count !== graph.size)
    throw new InternalError(`graph "${graph.name}" counts ${graph.size} nodes, has ${count}`);
  graph.outputs.forEach((output, index) => {
    if (!defined.has(output))
      throw new InternalError(`output "${output.name}" of "${graph.name}" is undefined`);
    const use = graph.useAt(index);
    if (use === undefined || !output.uses.has(use))
      throw new InternalError(`output "${output.name}" lacks its use`);
  });
  for (const value of defined) if (!outer.has(value)) for (const use of value.uses) verifyUse(value, use);
}

/** A reader that left its graph, or reads something else by now, would keep a value alive for ever. */
function verifyUse(value: Value, use: Use): void {
  const holder = use.kind === "operand" ? use.node : use.graph;
  if (holder.useAt(use.index) !== use) throw new InternalError(`"${value.name}" holds a use that is over`);
  if (use.kind === "operand" && use.node.graph === undefined)
    throw new InternalError(`"${value.name}" is read by ${describe(use.node)}, which stands in no graph`);
}

function verifyNode(node: Node, graph: Graph, defined: ReadonlySet<Value>): void {
  if (node.graph !== graph) throw new InternalError(`${describe(node)} does not know its graph`);
  node.inputs.forEach((input, index) => {
    if (input === null) return;
    if (!defined.has(input)) {
      throw new InternalError(`${describe(node)} reads "${input.name}" before it is defined`);
    }
    const use = node.useAt(index);
    if (use === undefined || !input.uses.has(use))
      throw new InternalError(`${describe(node)} lacks its use of "${input.name}"`);
  });
  for (const body of node.subgraphs()) {
    if (body.owner !== node) throw new InternalError(`a body of ${describe(node)} does not know its owner`);
    verifyGraph(body, defined);
  }
}

function describe(node: Node): string {
  return node.name === "" ? node.op : `${node.op} "${node.name}"`;
}
