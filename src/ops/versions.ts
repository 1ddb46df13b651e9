/** Versions of operators: which schema a model means, and whether it is the one that our rules speak. */
import type { Op } from "./record.ts";

/** The opset of ai.onnx from which on records speak the meaning of their rules; older models are upgraded to it. */
export const baseOpset = 20;

/** The newest opset of ai.onnx that ONNX Runtime 1.30 loads, and so the newest that is emitted. */
export const newestOpset = 26;

/** The newest opset of ai.onnx whose operators the records know; what a newer one changed is not known. */
export const knownOpset = 28;

/** The version of an operator's schema that a model of this opset means; undefined where it has none yet. */
export function versionAt(versions: readonly number[], opset: number): number | undefined {
  return versions.findLast((version) => version <= opset);
}

/** Versions of the record's upgrades that lie above `from` and up to `to`, ascending. */
export function upgradesBetween(op: Op, from: number, to: number): number[] {
  const versions = Object.keys(op.upgrades).map(Number);
  return versions.filter((version) => version > from && version <= to).sort((a, b) => a - b);
}

/** Whether a node in a model of this opset means what the record's rules compute. */
export function isCurrent(op: Op, opset: number): boolean {
  return op.domain !== "" || upgradesBetween(op, opset, baseOpset).length === 0;
}
