/** Nodes that compute their own derivative beside their result, so that the backward walk need not look inside. */
import type { Node } from "../ir/node.ts";

const key = "peft.slope";

/**
 * What a node says of itself: result `of` has, by operand `by`, the derivative that result `slope` holds, element for element of
 * the operand; the operand has one axis more than the result, at the end. By everything else that the node reads it has none.
 */
export interface StatedSlope {
  readonly of: number;
  readonly by: number;
  readonly slope: number;
}

/** Marks a node, in its metadata. */
export function stateSlope(node: Node, { of, by, slope }: StatedSlope): void {
  node.metadata.set(key, [of, by, slope].join());
}

/** What {@link stateSlope} marked the node with. */
export function statedSlope(node: Node): StatedSlope | undefined {
  const [of, by, slope] = node.metadata.get(key)?.split(",").map(Number) ?? [];
  return of === undefined || by === undefined || slope === undefined ? undefined : { of, by, slope };
}
