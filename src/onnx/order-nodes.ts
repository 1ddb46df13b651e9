/** Puts nodes in an order in which every value is computed before it is read. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { Node } from "../ir/node.ts";

/**
 * The given order where it is valid; else each node moves behind the last of the nodes it needs, and the rest stays.
 *
 * @throws DiagnosticError `E_ONNX_CYCLE` with the nodes of one circle.
 */
export function orderNodes(graph: string, nodes: readonly Node[]): readonly Node[] {
  const position = new Map(nodes.map((node, index) => [node, index]));
  const needs = new Map(
    nodes.map((node) => [node, [...producersOf(node)].filter((producer) => position.has(producer))]),
  );
  const isBehind = (node: Node, index: number): boolean => (position.get(node) ?? 0) >= index;
  if (!nodes.some((node, index) => needs.get(node)?.some((producer) => isBehind(producer, index))))
    return nodes;

  const order: Node[] = [];
  const state = new Map<Node, "open" | "done">();
  // Depth first with a stack of our own, since chains are as long as the model.
  for (const root of nodes) {
    const path = [{ node: root, next: 0 }];
    while (path.length > 0) {
      const top = path[path.length - 1];
      if (top === undefined) break;
      if (top.next === 0) {
        if (state.get(top.node) === "done") {
          path.pop();
          continue;
        }
        state.set(top.node, "open");
      }
      const producer = needs.get(top.node)?.[top.next++];
      if (producer === undefined) {
        state.set(top.node, "done");
        order.push(top.node);
        path.pop();
      } else if (state.get(producer) === "open") {
        const circle = path.slice(path.findIndex(({ node }) => node === producer)).map(({ node }) => node);
        throw onnxErrors.E_ONNX_CYCLE(graph, describeCircle([...circle, producer]));
      } else if (state.get(producer) === undefined) {
        path.push({ node: producer, next: 0 });
      }
    }
  }
  return order;
}

/** Nodes whose results a node reads, those that its bodies read from outside included. */
function producersOf(node: Node): Set<Node> {
  const producers = new Set<Node>();
  const add = (value: Node["inputs"][number]): void => {
    if (value?.producer !== undefined) producers.add(value.producer);
  };
  node.inputs.forEach(add);
  for (const body of node.subgraphs()) {
    for (const inner of body.allNodes()) {
      inner.inputs.forEach(add);
      for (const deeper of inner.subgraphs()) deeper.outputs.forEach(add);
    }
    body.outputs.forEach(add);
  }
  return producers;
}

/** The nodes of a circle, the middle of long ones left out; each reads the result of the next. */
function describeCircle(circle: readonly Node[]): string[] {
  const names = circle.map((node) => `${node.op} "${node.name}"`);
  return names.length <= 8 ? names : [...names.slice(0, 4), "...", ...names.slice(-3)];
}
