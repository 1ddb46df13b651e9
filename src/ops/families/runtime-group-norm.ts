/** Group normalizations of com.microsoft, which image generators use: GroupNorm, SkipGroupNorm. */
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { alongChannels } from "../kernels/channels.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { normalizeGroups } from "../kernels/group-normalize.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { countUp } from "../kernels/rearrange.ts";
import { requireAttribute, requireOneOf } from "../kernels/require-attribute.ts";
import { reshapeLike } from "../kernels/shape-vector.ts";
import { statisticsType } from "../kernels/standardize.ts";
import { counts, float, int, maybeInt } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];
const attributes = {
  activation: int(0),
  channels_last: int(1),
  epsilon: float(1e-5),
  groups: maybeInt(counts),
};

interface GroupAttributes {
  readonly activation: number;
  readonly channels_last: number;
  readonly epsilon: number;
  readonly groups: number | undefined;
}

/** Normalization of each group of channels, then SiLU where `activation` is 1. */
export const GroupNorm = defineOp({
  type: "GroupNorm",
  domain,
  versions,
  inputs: ["x", "gamma", "beta"],
  ranks: { x: 4, gamma: 1, beta: 1 },
  outputs: ["y"],
  attributes,
  infer: ({ node, in: { x }, attrs }) => {
    checkAttributes(node, attrs);
    return [x.type];
  },
  evaluate: byExpansion,
  parts: partsOfFirstAxis,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, gamma, beta }, attrs, b }) => [normalize(b, node, x, gamma, beta, attrs)],
  },
});

/** The same of `x + skip + bias`, which is the second result. */
export const SkipGroupNorm = defineOp({
  type: "SkipGroupNorm",
  domain,
  versions,
  inputs: ["x", "gamma", "beta", "skip", "bias?"],
  ranks: { x: 4, gamma: 1, beta: 1, skip: [2, 4], bias: 1 },
  outputs: ["y", "sum?"],
  attributes,
  infer: ({ node, in: { x }, attrs }) => {
    checkAttributes(node, attrs);
    return [x.type, x.type];
  },
  evaluate: byExpansion,
  parts: partsOfFirstAxis,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, gamma, beta, skip, bias }, attrs, b }) => {
      const last = attrs.channels_last !== 0;
      const residual = rankOf(skip) === 2 ? b.unsqueeze(skip, last ? [1, 2] : [2, 3]) : skip;
      const added = b.add(x, residual);
      const perChannel = bias && (last ? bias : alongChannels(b, bias, rankOf(x)));
      const sum = perChannel === undefined ? added : b.add(added, perChannel);
      return [normalize(b, node, sum, gamma, beta, attrs), sum];
    },
  },
});

function checkAttributes(node: Node, { activation, groups }: GroupAttributes): void {
  requireAttribute(node, "groups", groups);
  requireOneOf(node, "activation", `${activation}`, ["0", "1"]);
}

function normalize(
  b: OpBuilder,
  node: Node,
  x: Value,
  gamma: Value,
  beta: Value,
  attrs: GroupAttributes,
): Value {
  const groups = requireAttribute(node, "groups", attrs.groups);
  const rank = rankOf(x);
  const spatial = countUp(rank).slice(2);
  const toFront = [0, rank - 1, ...spatial.map((axis) => axis - 1)];
  const toBack = [0, ...spatial, 1];
  const dtype = statisticsType(dtypeOf(x));
  const wide = b.cast(x, dtype);
  const image = attrs.channels_last === 0 ? wide : b.transpose(wide, toFront);
  const normalized = reshapeLike(b, normalizeGroups(b, image, groups, attrs.epsilon), image);
  const scaled = b.mul(normalized, alongChannels(b, b.cast(gamma, dtype), rank));
  const shifted = b.add(scaled, alongChannels(b, b.cast(beta, dtype), rank));
  const active = attrs.activation === 1 ? b.mul(shifted, b.op("Sigmoid", [shifted])) : shifted;
  return b.castLike(attrs.channels_last === 0 ? active : b.transpose(active, toBack), x);
}
