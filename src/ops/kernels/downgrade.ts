/** Rewrites of nodes whose newest version takes what the one before does not: for models newer than the runtime loads. */
import type { DType } from "../../ir/dtype.ts";
import type { Upgrade } from "../record.ts";
import { replaceNode } from "./replace-node.ts";

/**
 * Computes nodes with float operands of `types` in float32, and casts the float results back; nodes of other types stay.
 */
export function throughFloat32(types: readonly DType[]): Upgrade {
  return (node, b) => {
    const dtype = node.inputs
      .map((input) => input?.tensorType?.dtype)
      .find((found) => found !== undefined && types.includes(found));
    if (dtype === undefined) return;
    const operands = node.inputs.map((input) =>
      input?.tensorType?.dtype === dtype ? b.cast(input, "float32") : input,
    );
    const results = b.ops(node.op, operands, Object.fromEntries(node.attributes), node.outputs.length);
    replaceNode(
      node,
      results.map((result) => (result.tensorType?.dtype === "float32" ? b.cast(result, dtype) : result)),
    );
  };
}
