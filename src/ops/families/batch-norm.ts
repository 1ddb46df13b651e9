/** BatchNormalization, with given statistics or in training mode with those of the batch. */
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { alongChannels, channelArray, sumPerChannel } from "../kernels/channels.ts";
import { once } from "../kernels/once.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { axesExcept, reciprocalCount } from "../kernels/reduction-axes.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { requireShape } from "../kernels/require-shape.ts";
import {
  normalizedAgain,
  scaleAndShift,
  standardize,
  standardizeGradient,
  statisticsType,
} from "../kernels/standardize.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { float, int } from "../params.ts";

export const BatchNormalization = defineOp({
  type: "BatchNormalization",
  versions: [1, 6, 7, 9, 14, 15],
  inputs: ["x", "scale", "bias", "mean", "variance"],
  ranks: { x: [1], scale: 1, bias: 1, mean: 1, variance: 1 },
  outputs: ["y", "running_mean?", "running_variance?"],
  attributes: { epsilon: float(1e-5), momentum: float(0.9), training_mode: int(0) },
  infer: ({ node, in: { x, ...channels } }) => {
    const shape = x.tensorType?.shape;
    for (const [name, value] of Object.entries(channels))
      requireShape(node, name, value, shape && [shape.length < 2 ? 1 : shape[1]]);
    return [x.type, channels.mean.type, channels.variance.type];
  },
  evaluate: ({
    in: { x, scale, bias, mean, variance },
    attrs: { epsilon, momentum, training_mode },
    exact,
  }) => {
    const [factor, shift] = [channelArray(scale, x.rank), channelArray(bias, x.rank)];
    if (training_mode !== 0) {
      const batch = standardize(x, { axes: axesExcept([1], x.rank), epsilon, centered: true });
      const follow = (old: NDArray, now: Float64Array<ArrayBuffer>): NDArray =>
        fromNumbers(
          old.dtype,
          old.shape,
          old.numbers.map((v, i) => v * momentum + (now[i] ?? 0) * (1 - momentum)),
          exact,
        );
      return [
        fromNumbers(x.dtype, x.shape, scaleAndShift(batch.normalized, x.shape, factor, shift), exact),
        follow(mean, batch.means),
        follow(variance, batch.variances),
      ];
    }
    const inverses = variance.numbers.map((v) => 1 / Math.sqrt(v + epsilon));
    const center = fromNumbers(
      "float64",
      mean.shape,
      mean.numbers.map((m, i) => -m * (inverses[i] ?? 1)),
    );
    const slope = fromNumbers("float64", variance.shape, inverses);
    const normalized = scaleAndShift(
      x.numbers,
      x.shape,
      channelArray(slope, x.rank),
      channelArray(center, x.rank),
    );
    return [fromNumbers(x.dtype, x.shape, scaleAndShift(normalized, x.shape, factor, shift), exact)];
  },
  parts: (context) => (context.node.int("training_mode", 0) === 0 ? partsOfFirstAxis(context) : undefined),
  precision: "full",
  gradient: ({ in: operands, attrs, grad, b, hasGrad }) => {
    if (attrs.training_mode === 0) return givenStatisticsGradient(b, operands, grad.y, attrs.epsilon);
    return batchStatisticsGradient(b, operands, attrs, {
      y: hasGrad("y") ? grad.y : undefined,
      mean: hasGrad("running_mean") ? grad.running_mean : undefined,
      variance: hasGrad("running_variance") ? grad.running_variance : undefined,
    });
  },
  upgrades: { 9: dropSpatial, 14: sayTrainingMode },
});

type Operands = Readonly<Record<"x" | "scale" | "bias" | "mean" | "variance", Value>>;

/** y = scale (x - mean) / sqrt(variance + epsilon) + bias, every operand a variable. */
function givenStatisticsGradient(
  b: OpBuilder,
  { x, scale, bias, mean, variance }: Operands,
  gradient: Value,
  epsilon: number,
): Record<keyof Operands, () => Value> {
  const rank = rankOf(x);
  const dtype = statisticsType(dtypeOf(x));
  const g = once(() => b.cast(gradient, dtype));
  const inverse = once(() => b.reciprocal(b.sqrt(b.add(b.cast(variance, dtype), epsilon))));
  const slope = once(() => b.mul(b.cast(scale, dtype), inverse()));
  const sum = once(() => sumPerChannel(b, g()));
  const moment = once(() => {
    const deviation = b.sub(b.cast(x, dtype), alongChannels(b, b.cast(mean, dtype), rank));
    return sumPerChannel(b, b.mul(g(), deviation));
  });
  return {
    x: () => b.castLike(b.mul(g(), alongChannels(b, slope(), rank)), x),
    scale: () => b.castLike(b.mul(moment(), inverse()), scale),
    bias: () => b.castLike(sum(), bias),
    mean: () => b.castLike(b.neg(b.mul(slope(), sum())), mean),
    variance: () => {
      const bend = b.mul(b.mul(slope(), b.mul(inverse(), inverse())), -0.5);
      return b.castLike(b.mul(bend, moment()), variance);
    },
  };
}

/** The statistics are those of the batch; the running ones are a mixture of them and the operands. */
function batchStatisticsGradient(
  b: OpBuilder,
  { x, scale, bias, mean, variance }: Operands,
  { epsilon, momentum }: { readonly epsilon: number; readonly momentum: number },
  grads: Readonly<Record<"y" | "mean" | "variance", Value | undefined>>,
): Partial<Record<keyof Operands, () => Value>> {
  const rank = rankOf(x);
  const dtype = statisticsType(dtypeOf(x));
  const options = { axes: axesExcept([1], rank), epsilon, centered: true };
  const normalized = once(() => normalizedAgain(b, x, options));
  const wide = (value: Value): Value => alongChannels(b, b.cast(value, dtype), rank);
  const g = once(() => b.cast(grads.y ?? b.zerosLike(x), dtype));
  const update = (value: Value): Value =>
    b.mul(b.mul(wide(value), 1 - momentum), reciprocalCount(b, b.cast(x, dtype), options.axes));
  return {
    x: () => {
      const { hat, inverse } = normalized();
      const parts: Value[] = [];
      if (grads.y !== undefined)
        parts.push(standardizeGradient(b, { hat, inverse }, b.mul(g(), wide(scale)), options));
      // d variance / dx = 2 (x - mean) / n, and x - mean = hat / inverse
      if (grads.variance !== undefined)
        parts.push(b.mul(b.div(hat, inverse), b.mul(update(grads.variance), 2)));
      if (grads.mean !== undefined) parts.push(b.expand(update(grads.mean), b.shape(x)));
      return b.castLike(
        parts.reduce((sum, part) => b.add(sum, part)),
        x,
      );
    },
    scale: () => b.castLike(sumPerChannel(b, b.mul(g(), normalized().hat)), scale),
    bias: () => b.castLike(sumPerChannel(b, g()), bias),
    mean: () => (grads.mean === undefined ? b.zerosLike(mean) : b.mul(grads.mean, momentum)),
    variance: () => (grads.variance === undefined ? b.zerosLike(variance) : b.mul(grads.variance, momentum)),
  };
}

/** Versions 7 and 8 could normalize every position apart (`spatial` = 0), which is plain arithmetic. */
function dropSpatial(node: Node, b: OpBuilder): void {
  const [x, scale, bias, mean, variance] = node.inputs;
  const trains = node.outputs.some((output, index) => index > 0 && output?.isUsed === true);
  if (node.int("spatial", 1) !== 0) node.attributes.delete("spatial");
  else if (!trains && x != null && scale != null && bias != null && mean != null && variance != null) {
    const deviation = b.sqrt(b.add(variance, node.float("epsilon", 1e-5)));
    replaceNode(node, [b.add(b.mul(b.div(b.sub(x, mean), deviation), scale), bias)]);
  }
}

/** Before version 14 a node with more than one output was in training mode; its saved statistics are gone since. */
function sayTrainingMode(node: Node, b: OpBuilder): void {
  const used = node.outputs.map((output) => output?.isUsed === true);
  if (!used.some((isUsed, index) => isUsed && index > 0)) {
    if (node.outputs.length > 1)
      replaceNode(node, [b.op(node.op, node.inputs, Object.fromEntries(node.attributes))]);
    return;
  }
  const [x] = node.inputs;
  const [y, mean, variance] = b.ops(
    node.op,
    node.inputs,
    { ...Object.fromEntries(node.attributes), training_mode: 1 },
    3,
  );
  if (x == null || y === undefined) return;
  const axes = axesExcept([1], rankOf(x));
  const average = b.reduceMean(x, axes);
  const deviation = b.sub(x, average);
  const saved = [b.squeeze(average, axes), b.reduceMean(b.mul(deviation, deviation), axes, false)];
  replaceNode(node, [y, mean ?? null, variance ?? null, ...saved]);
}
