/** Which module a node serves, carried as metadata so that passes, files and profiles keep it. */
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";

const key = "peft.module";

/** The module that a node is marked with: its path, or what it does in parentheses where it is of no module. */
export function moduleMark(node: Node): string | undefined {
  return node.metadata.get(key);
}

export function markModule(node: Node, module: string): void {
  node.metadata.set(key, module);
}

/** Marks the nodes of a graph and of its bodies that have no mark yet. */
export function markRest(graph: Graph, module: string): void {
  for (const node of graph.allNodes()) if (!node.metadata.has(key)) markModule(node, module);
}

/** The innermost module that all of these are parts of; undefined where there is none. */
export function commonModule(modules: readonly string[]): string | undefined {
  const [first, ...rest] = modules.map((module) => module.split("."));
  if (first === undefined) return undefined;
  const differs = first.findIndex((name, i) => rest.some((other) => other[i] !== name));
  const shared = differs < 0 ? first : first.slice(0, differs);
  return shared.length === 0 ? undefined : shared.join(".");
}
