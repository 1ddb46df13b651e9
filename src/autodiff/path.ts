/** A way from a variable to a node, for messages that say why a gradient was asked for. */
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { activeOperands, operandsWithCaptures } from "./activity.ts";

const longest = 8;

/** Names of the values and nodes from a variable to `node`, shortened in the middle when there are many. */
export function describePath(
  node: Node,
  active: ReadonlySet<Value>,
  variables: readonly Value[],
): readonly string[] {
  const goals = new Set(variables);
  const steps: string[] = [labelOf(node)];
  let at: Node | undefined = node;
  while (at !== undefined) {
    const operand: Value | undefined =
      activeOperands(at, active)
        .map((index) => at?.input(index))
        .find((value) => value !== undefined) ?? operandsWithCaptures(at).find((value) => active.has(value));
    if (operand === undefined) break;
    if (goals.has(operand)) {
      steps.push(`"${operand.name}"`);
      break;
    }
    at = operand.producer;
    if (at !== undefined) steps.push(labelOf(at));
  }
  return shortenPath(steps.reverse());
}

/** A path that fits a message: the middle of a long one is left out. */
export function shortenPath(steps: readonly string[]): readonly string[] {
  if (steps.length <= longest) return steps;
  return [...steps.slice(0, longest / 2), `(${steps.length - longest} more)`, ...steps.slice(-longest / 2)];
}

/** A node as paths show it. */
export function labelOf(node: Node): string {
  return node.name === "" ? node.op : `${node.op} "${node.name}"`;
}
