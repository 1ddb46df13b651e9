/** Versions of operators: which schema a model means, and whether it is the one that our rules speak. */
import type { Op } from "./record.ts";

/** The opset of ai.onnx from which on every record speaks the meaning of its rules; older models are upgraded to it. */
export const baseOpset = 20;

/** The version of the operator's schema that a model of this opset means; undefined where it has none yet. */
export function versionAt(op: Op, opset: number): number | undefined {
  return op.versions.findLast((version) => version <= opset);
}

/** Whether a node in a model of this opset means what the record's rules compute. */
export function isCurrent(op: Op, opset: number): boolean {
  if (op.domain !== "" || opset >= baseOpset) return true;
  return versionAt(op, opset) === versionAt(op, baseOpset);
}
