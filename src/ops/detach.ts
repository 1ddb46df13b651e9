/** Values that gradients do not pass: what PyTorch calls detached. */
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "./builder.ts";

const key = "peft.gradient";
const stopped = "stop";

/** The same value as a constant to differentiation, through an Identity that is marked in its metadata. */
export function detach(b: OpBuilder, x: Value): Value {
  const result = b.op("Identity", [x]);
  result.producer?.metadata.set(key, stopped);
  return result;
}

/** Whether {@link detach} made the node. */
export function isDetached(node: Node): boolean {
  return node.metadata.get(key) === stopped;
}
