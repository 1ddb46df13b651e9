import { operatorErrors } from "../../diagnostics/operator.ts";
import { dtypeFromCode, isLow } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { staticShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { alongChannels, channelArray, sumPerChannel } from "../kernels/channels.ts";
import { normalizeGroups } from "../kernels/group-normalize.ts";
import { once } from "../kernels/once.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { axesExcept } from "../kernels/reduction-axes.ts";
import { requireShape } from "../kernels/require-shape.ts";
import {
  normalizedAgain,
  scaleAndShift,
  standardize,
  standardizeGradient,
  statisticsType,
} from "../kernels/standardize.ts";
import { fromNumbers } from "../ndarray.ts";
import { float, int } from "../params.ts";

export const InstanceNormalization = defineOp({
  type: "InstanceNormalization",
  versions: [1, 6, 22],
  inputs: ["x", "scale", "bias"],
  ranks: { x: [3], scale: 1, bias: 1 },
  outputs: ["y"],
  attributes: { epsilon: float(1e-5) },
  infer: ({ node, in: { x, scale, bias } }) => {
    const channels = x.tensorType?.shape?.slice(1, 2);
    requireShape(node, "scale", scale, channels);
    requireShape(node, "bias", bias, channels);
    return [x.type];
  },
  evaluate: ({ in: { x, scale, bias }, attrs: { epsilon }, exact }) => {
    const { normalized } = standardize(x, { axes: axesExcept([0, 1], x.rank), epsilon, centered: true });
    const [factor, shift] = [channelArray(scale, x.rank), channelArray(bias, x.rank)];
    return [fromNumbers(x.dtype, x.shape, scaleAndShift(normalized, x.shape, factor, shift), exact)];
  },
  parts: partsOfFirstAxis,
  precision: "full",
  gradient: ({ in: { x, scale, bias }, grad: { y: g }, attrs: { epsilon }, b }) => {
    const rank = rankOf(x);
    const options = { axes: axesExcept([0, 1], rank), epsilon, centered: true };
    const normalized = once(() => normalizedAgain(b, x, options));
    const wide = (): Value => b.cast(g, statisticsType(dtypeOf(x)));
    return {
      x: () => {
        const factor = alongChannels(b, b.cast(scale, statisticsType(dtypeOf(x))), rank);
        return b.castLike(standardizeGradient(b, normalized(), b.mul(wide(), factor), options), x);
      },
      scale: () => b.castLike(sumPerChannel(b, b.mul(wide(), normalized().hat)), scale),
      bias: () => b.castLike(sumPerChannel(b, wide()), bias),
    };
  },
});

export const GroupNormalization = defineOp({
  type: "GroupNormalization",
  versions: [18, 21],
  inputs: ["x", "scale", "bias"],
  ranks: { x: [2], scale: 1, bias: 1 },
  outputs: ["y"],
  attributes: { epsilon: float(1e-5), num_groups: int(1, { least: 1, most: 2 ** 20 }), stash_type: int(1) },
  infer: ({ node, in: { x, scale, bias }, attrs: { num_groups }, opset }) => {
    const channels = x.tensorType?.shape?.[1];
    if (typeof channels === "number" && channels % num_groups !== 0)
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        "num_groups",
        `a divisor of ${channels} channels`,
        `${num_groups}`,
      );
    const length = opset < 21 ? undefined : channels;
    requireShape(node, "scale", scale, [length]);
    requireShape(node, "bias", bias, [length]);
    return [x.type];
  },
  evaluate: ({ in: { x, scale, bias }, attrs: { epsilon, num_groups }, opset, exact }) => {
    const [instances = 1] = x.shape;
    const grouped = x.reshaped([instances, num_groups, x.size / Math.max(1, instances * num_groups)]);
    const { normalized } = standardize(grouped, { axes: [2], epsilon, centered: true });
    const perGroup = opset < 21;
    const shape = perGroup ? grouped.shape : x.shape;
    const rank = perGroup ? 3 : x.rank;
    const [factor, shift] = [channelArray(scale, rank), channelArray(bias, rank)];
    return [fromNumbers(x.dtype, x.shape, scaleAndShift(normalized, shape, factor, shift), exact)];
  },
  parts: partsOfFirstAxis,
  precision: "full",
  // No provider has a kernel of its own; the runtime takes it apart in the same way.
  gradient: {
    kind: "expand",
    rule: ({ in: { x, scale, bias }, attrs: { epsilon, num_groups, stash_type }, b }) => {
      const rank = rankOf(x);
      const dtype = isLow(dtypeOf(x)) ? (dtypeFromCode(stash_type) ?? "float32") : dtypeOf(x);
      const normalized = b.castLike(normalizeGroups(b, b.cast(x, dtype), num_groups, epsilon), x);
      if (b.opset < 21) {
        const scaled = b.add(b.mul(normalized, alongChannels(b, scale, 3)), alongChannels(b, bias, 3));
        return [b.reshape(scaled, b.shape(x))];
      }
      const back = b.reshape(normalized, b.shape(x));
      return [b.add(b.mul(back, alongChannels(b, scale, rank)), alongChannels(b, bias, rank))];
    },
  },
  upgrades: { 21: repeatPerChannel },
});

/** Version 21 has scale and bias per channel, version 18 per group. */
function repeatPerChannel(node: Node, b: OpBuilder): void {
  const [x, groups] = [node.input(0), node.int("num_groups", 1)];
  if (x === undefined) return;
  for (const index of [1, 2]) {
    const vector = node.input(index);
    if (vector === undefined || staticShape([dimOf(x, 1)])?.[0] === groups) continue;
    const size = b.div(b.dim(x, 1), groups);
    const shape = b.concat([b.ints([groups]), b.unsqueeze(size, [0])], 0);
    node.setInput(index, b.reshape(b.expand(b.unsqueeze(vector, [1]), shape), [-1]));
  }
}
