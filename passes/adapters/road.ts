/** RoAd: learned rotations and scalings of pairs of output features. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer, normal } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import { InternalError } from "../../src/diagnostics/define.ts";
import { staticShape } from "../../src/ir/shape.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { shapeOf } from "../../src/ops/facts.ts";

const { target_modules, modules_to_save } = targetOptions;

const options = z.strictObject({
  variant: z
    .enum(["road_1", "road_2", "road_4"])
    .default("road_1")
    .describe("angle and scale per pair, per feature, or per entry of each 2x2 block"),
  group_size: z
    .int()
    .min(2)
    .multipleOf(2)
    .default(64)
    .describe("features per group; feature i of a group is paired with feature i + group_size / 2"),
  init_weights: z.boolean().default(true).describe("true: no rotation and scale 1; false: random"),
  target_modules,
  modules_to_save,
});

type Options = z.output<typeof options>;

const factors = { road_1: 0.5, road_2: 1, road_4: 2 } as const;

/** Normal around 1, which a normal around 0 is not. */
const aroundOne: Initializer = (shape, random) => normal(0.5)(shape, random).map((value) => value + 1);

/** Factors of z and of its rotation, each `[groups, 2 or 1, group_size / 2]`. */
function columnsOf(
  theta: Value,
  alpha: Value,
  { variant, group_size: group }: Options,
  b: OpBuilder,
): [cos: Value, sin: Value] {
  const half = group / 2;
  const scaled = (kind: "Cos" | "Sin"): Value => b.mul(alpha, b.op(kind, [theta]));
  if (variant === "road_1") {
    return [b.reshape(scaled("Cos"), [-1, 1, half]), b.reshape(scaled("Sin"), [-1, 1, half])];
  }
  if (variant === "road_2") {
    return [b.reshape(scaled("Cos"), [-1, 2, half]), b.reshape(scaled("Sin"), [-1, 2, half])];
  }
  // Per group, the factors of the cosines come before those of the sines.
  const part = (kind: "Cos" | "Sin", at: number): Value => {
    const both = b.reshape(scaled(kind), [-1, 2, 2, half]);
    return b.squeeze(b.slice(both, { starts: [at], ends: [at + 1], axes: [1] }), [1]);
  };
  return [part("Cos", 0), part("Sin", 1)];
}

/** c z + d rot(z) over the last axis of `z`, with rot(z1, z2) = (-z2, z1) in each group. */
function rotate(z: Value, theta: Value, alpha: Value, o: Options, b: OpBuilder): Value {
  const rank = z.tensorType?.shape?.length;
  if (rank === undefined) throw new InternalError(`the rank of "${z.name}" is not known`);
  const features = z.tensorType?.shape?.[rank - 1];
  if (typeof features !== "number") throw new InternalError(`the last axis of "${z.name}" is not known`);
  const leading = Array.from({ length: rank - 1 }, () => 0);
  const pairs = b.reshape(z, [...leading, features / o.group_size, 2, o.group_size / 2]);
  const half = (at: number): Value => b.slice(pairs, { starts: [at], ends: [at + 1], axes: [rank] });
  const turned = b.concat([b.neg(half(1)), half(0)], rank);
  const [cos, sin] = columnsOf(theta, alpha, o, b);
  const result = b.add(b.mul(pairs, cos), b.mul(turned, sin));
  return b.reshape(result, [...leading, features]);
}

/** The reverse of {@link rotate}: each pair of elements by the inverse of its two rows of factors. */
function rotateBack(z: Value, theta: Value, alpha: Value, o: Options, b: OpBuilder): Value {
  const shape = staticShape(shapeOf(z));
  const rank = shape?.length;
  const features = shape?.at(-1);
  if (rank === undefined || features === undefined)
    throw new InternalError(`the shape of "${z.name}" is not known`);
  const leading = Array.from({ length: rank - 1 }, () => 0);
  const pairs = b.reshape(z, [...leading, features / o.group_size, 2, o.group_size / 2]);
  const half = (of: Value, at: number, axis: number): Value =>
    b.slice(of, { starts: [at], ends: [at + 1], axes: [axis] });
  const [cos, sin] = columnsOf(theta, alpha, o, b);
  const both = (of: Value): [Value, Value] =>
    o.variant === "road_1" ? [of, of] : [half(of, 0, 1), half(of, 1, 1)];
  const [[c, c2], [s, s2]] = [both(cos), both(sin)];
  const [first, second] = [half(pairs, 0, rank), half(pairs, 1, rank)];
  const area = b.add(b.mul(c, c2), b.mul(s, s2));
  const source = b.concat(
    [
      b.div(b.add(b.mul(c2, first), b.mul(s, second)), area),
      b.div(b.sub(b.mul(c, second), b.mul(s2, first)), area),
    ],
    rank,
  );
  return b.reshape(source, [...leading, features]);
}

export default defineAdapter({
  name: "road",
  peftType: "ROAD",
  summary: "Rotates and scales pairs of output features of frozen linear layers",
  formula: "y = R (W x + b), with R made of 2x2 blocks alpha [[cos, -sin], [sin, cos]](theta)",
  paper:
    "Liao and Monz 2024, 3-in-1: 2D Rotary Adaptation for Efficient Finetuning, Efficient Batching and Composability, https://arxiv.org/abs/2409.00119",
  options,
  peftConfig: {},
  sites: ["linear"],
  accepts: (site, o) =>
    site.outFeatures % o.group_size === 0
      ? true
      : `its ${site.outFeatures} outputs are not a multiple of group_size ${o.group_size}`,
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => {
    const shape = [site.outFeatures * factors[o.variant]];
    return {
      theta: { key: "road_theta", shape, init: o.init_weights ? filled(0) : normal(0.5) },
      alpha: { key: "road_alpha", shape, init: o.init_weights ? filled(1) : aroundOne },
    };
  },
  build: ({ y, params: { theta, alpha }, options: o, b }) => rotate(y, theta, alpha, o, b),
  merge: ({ weight, bias, params: { theta, alpha }, options: o, b }) => ({
    weight: b.transpose(rotate(b.transpose(weight, [1, 0]), theta, alpha, o, b), [1, 0]),
    ...(bias === undefined ? {} : { bias: rotate(bias, theta, alpha, o, b) }),
  }),
  unmerge: ({ weight, bias, params: { theta, alpha }, options: o, b }) => ({
    weight: b.transpose(rotateBack(b.transpose(weight, [1, 0]), theta, alpha, o, b), [1, 0]),
    ...(bias === undefined ? {} : { bias: rotateBack(bias, theta, alpha, o, b) }),
  }),
});
