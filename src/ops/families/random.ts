/** Random draws: RandomNormal, RandomUniform, their Like forms, Bernoulli and Multinomial. */
import { dtypeFromCode } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, none, refuse, zero } from "../define.ts";
import { amounts, counts, float, int, ints, maybeInt } from "../params.ts";
import type { Op } from "../record.ts";

const drawn = refuse("it draws anew in every run, so that no constant may stand for it");
const noOperand = zero("the draw does not depend on the elements of any operand");
const chance = "its operand is a probability that decides a draw, and a draw has no derivative";

/** Draws of a shape that attributes give; the two named attributes are those of the distribution. */
function defineDraw(type: string, distribution: Readonly<Record<string, ReturnType<typeof float>>>): Op {
  return defineOp({
    type,
    versions: [1, 22],
    inputs: [],
    outputs: ["y"],
    attributes: { dtype: int(1), shape: ints(amounts), seed: float(0), ...distribution },
    infer: ({ attrs }) => [tensorType(dtypeFromCode(attrs.dtype) ?? "float32", attrs.shape)],
    evaluate: drawn,
    precision: "exact",
    gradient: noOperand,
  });
}

/** Draws of the shape of an operand. */
function defineDrawLike(type: string, distribution: Readonly<Record<string, ReturnType<typeof float>>>): Op {
  return defineOp({
    type,
    versions: [1, 22],
    inputs: ["x"],
    outputs: ["y"],
    attributes: { dtype: maybeInt(), seed: float(0), ...distribution },
    infer: ({ in: { x }, attrs }) => {
      const dtype = attrs.dtype === undefined ? x.tensorType?.dtype : dtypeFromCode(attrs.dtype);
      return [dtype && tensorType(dtype, x.tensorType?.shape)];
    },
    evaluate: drawn,
    precision: "exact",
    gradient: noOperand,
  });
}

const normal = { mean: float(0), scale: float(1) };
const uniform = { low: float(0), high: float(1) };

export const RandomNormal = defineDraw("RandomNormal", normal);
export const RandomUniform = defineDraw("RandomUniform", uniform);
export const RandomNormalLike = defineDrawLike("RandomNormalLike", normal);
export const RandomUniformLike = defineDrawLike("RandomUniformLike", uniform);

export const Bernoulli = defineOp({
  type: "Bernoulli",
  versions: [15, 22],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { dtype: maybeInt(), seed: float(0) },
  infer: ({ in: { x }, attrs }) => {
    const dtype = attrs.dtype === undefined ? x.tensorType?.dtype : dtypeFromCode(attrs.dtype);
    return [dtype && tensorType(dtype, x.tensorType?.shape)];
  },
  evaluate: drawn,
  precision: "exact",
  gradient: none(chance),
});

export const Multinomial = defineOp({
  type: "Multinomial",
  versions: [7, 22],
  inputs: ["x"],
  ranks: { x: 2 },
  outputs: ["y"],
  attributes: { dtype: int(6), sample_size: int(1, counts), seed: float(0) },
  infer: ({ in: { x }, attrs }) => {
    const batch = x.tensorType?.shape?.[0];
    const shape = batch === undefined ? undefined : [batch, attrs.sample_size];
    return [tensorType(dtypeFromCode(attrs.dtype) ?? "int32", shape)];
  },
  evaluate: drawn,
  precision: "exact",
  gradient: none(chance),
});
