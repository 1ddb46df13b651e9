/** Dropout: the identity, and in training mode a random mask that no gradient depends on. */
import { InternalError } from "../../diagnostics/define.ts";
import { constantOf } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import { replaceValue } from "../../ir/replace.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { fromNumbers, fromTensor } from "../ndarray.ts";
import { maybeInt } from "../params.ts";

export const Dropout = defineOp({
  type: "Dropout",
  versions: [1, 6, 7, 10, 12, 13, 22],
  inputs: ["x", "ratio?", "training_mode?"],
  ranks: { ratio: [0, 1], training_mode: [0, 1] },
  outputs: ["y", "mask?"],
  attributes: { seed: maybeInt() },
  infer: ({ in: { x } }) => [x.type, tensorType("bool", x.tensorType?.shape)],
  evaluate: ({ in: { x, training_mode } }) => {
    if (training_mode?.numbers[0] === 1) {
      throw new InternalError("Dropout in training mode draws random numbers and is not evaluated");
    }
    return [x, fromNumbers("bool", x.shape, new Float64Array(x.size).fill(1))];
  },
  precision: "follow",
  // The mask is drawn for an array of ones, off the way of the gradient, and multiplied in.
  gradient: {
    kind: "expand",
    rule: ({ in: { x, ratio, training_mode }, attrs: { seed }, b }) => {
      const trains = knownFlag(training_mode);
      if (trains === false) return [x, b.fillLike(x, 1, "bool")];
      const [, mask] = b.ops(
        "Dropout",
        [b.fillLike(x, 1), ratio ?? null, training_mode ?? null],
        { seed },
        2,
      );
      if (mask === undefined) throw new InternalError("Dropout has two results");
      const rate = ratio === undefined ? b.scalar(0.5, dtypeOf(x)) : b.castLike(ratio, x);
      const keep = b.sub(1, rate);
      const scale = b.reciprocal(trains === true ? keep : b.where(training_mode ?? mask, keep, 1));
      return [b.where(mask, b.mul(x, scale), 0), mask];
    },
  },
  upgrades: { 10: boolMask, 12: moveRatioToInput },
  hostInputs: ["ratio", "training_mode"],
});

/** The value of a flag; undefined where it is known at run time only. */
function knownFlag(flag: Value | undefined): boolean | undefined {
  if (flag === undefined) return false;
  const constant = constantOf(flag);
  return constant === undefined ? undefined : fromTensor(constant).numbers[0] === 1;
}

/** Before version 10 the mask had the type of the data. */
function boolMask(node: Node, b: OpBuilder): void {
  const [x, mask] = [node.input(0), node.outputs[1]];
  if (x === undefined || mask?.isUsed !== true) return;
  const [y, flags] = b.ops("Dropout", [x], Object.fromEntries(node.attributes), 2);
  replaceNode(node, [y ?? x, flags === undefined ? null : b.castLike(flags, x)]);
}

/**
 * Version 12 made an operand of the attribute `ratio`, and inference the meaning of a node without `training_mode`. No version before says what
 * the mask is in inference; the runtime fills it with false.
 */
function moveRatioToInput(node: Node, b: OpBuilder): void {
  const x = node.input(0);
  const ratio = node.float("ratio", undefined);
  node.attributes.delete("ratio");
  if (x !== undefined && ratio !== undefined) node.setInput(1, b.scalar(ratio, dtypeOf(x)));
  const mask = node.outputs[1];
  if (x !== undefined && mask?.isUsed === true) replaceValue(mask, b.fillLike(x, 0, "bool"));
}
