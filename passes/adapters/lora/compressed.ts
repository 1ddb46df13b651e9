/** VeLoRA: A is trained by inputs that are compressed to one number for each group of features. */
import { filled, type Initializer } from "../../../src/adapt/initializers.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { detach } from "../../../src/ops/detach.ts";
import { factorOf } from "../parts/factors.ts";
import { updateOf } from "./factors.ts";
import { type Options, scalingOf } from "./options.ts";
import type { LoraContext, LoraVariant } from "./variant.ts";

const defaults = { num_groups: 64, scale: 1, init_type: "batch_average" } as const;

function configOf(o: Options): { num_groups: number; scale: number; init_type: string } {
  return o.velora_config ?? defaults;
}

/** Features of a group; the last is filled up with zeros. */
function groupSize(features: number, groups: number): number {
  return Math.ceil(features / groups);
}

/** A direction of length 1, as PEFT draws it. */
const randomDirection: Initializer = (shape, random) => {
  const values = Array.from({ length: shape[0] ?? 0 }, () => random.normal());
  const norm = Math.hypot(...values) || 1;
  return Float32Array.from(values, (value) => value / norm);
};

/** x [..., features] as [tokens, groups, size]. */
function grouped(x: Value, features: number, groups: number, b: OpBuilder): Value {
  const size = groupSize(features, groups);
  const flat = b.reshape(x, [-1, features]);
  const missing = groups * size - features;
  const wide = missing === 0 ? flat : b.op("Pad", [flat, b.ints([0, 0, 0, missing])]);
  return b.reshape(wide, [-1, groups, size]);
}

/** The mean of all groups of all tokens at length 1; evenly spread where it is zero. */
function meanDirection(groups: Value, size: number, b: OpBuilder): Value {
  const mean = b.reduceMean(groups, [0, 1], false);
  const squares = b.reduceSumSquare(mean, [0], true);
  const isZero = b.equal(squares, b.scalar(0, "float32"));
  const safe = b.where(isZero, b.scalar(1, "float32"), squares);
  return b.where(isZero, b.scalar(1 / Math.sqrt(size), "float32"), b.div(mean, b.sqrt(safe)));
}

/** (x e) e for each group, times `scale`: what is left of the inputs, [tokens, features]. */
function restored(groups: Value, direction: Value, features: number, scale: number, b: OpBuilder): Value {
  const numbers = b.matmul(groups, b.unsqueeze(direction, [1]));
  const wide = b.op("Flatten", [b.mul(numbers, direction)], { axis: 1 });
  return b.mul(b.slice(wide, { starts: [0], ends: [features], axes: [1] }), scale);
}

/**
 * The output of plain LoRA. In training A reads its gradient from the restored inputs x': x sg(A)^T + x' A^T - sg(x' A^T),
 * where nothing flows through sg (Miles et al. 2024, section 3).
 */
function build(context: LoraContext): Value {
  const { site, x, y, params, options: o, b, dropout, training } = context;
  const dropped = dropout(x, o.lora_dropout);
  if (!training || site.kind !== "linear") return b.add(y, updateOf(site, dropped, params, o, b));
  const { num_groups: groups, scale, init_type: type } = configOf(o);
  const { inFeatures: features } = site;
  const A = factorOf(params, "A");
  const still = detach(b, dropped);
  const parts = grouped(still, features, groups, b);
  const size = groupSize(features, groups);
  const direction = type === "batch_average" ? meanDirection(parts, size, b) : factorOf(params, "direction");
  const seen = detach(b, restored(parts, direction, features, scale, b));
  const product = b.matmul(seen, b.transpose(A, [1, 0]));
  const nothing = b.reshape(
    b.sub(product, detach(b, product)),
    b.concat([b.slice(b.shape(dropped), { starts: [0], ends: [-1], axes: [0] }), b.ints([o.r])], 0),
  );
  const update = updateOf(site, dropped, { ...params, A: detach(b, A) }, o, b);
  const B = b.mul(b.transpose(factorOf(params, "B"), [1, 0]), scalingOf(o));
  return b.add(b.add(y, update), b.matmul(nothing, B));
}

export const compressed: LoraVariant = {
  option: "velora_config",
  isAsked: (o) => o.velora_config !== null,
  kinds: ["linear"],
  accepts: (_, o) =>
    configOf(o).init_type === "batch_average_once"
      ? "velora_config.init_type batch_average_once changes a tensor in the first step alone, which is not built; take batch_average or random"
      : true,
  parameters: (plain, site, o) => {
    const { num_groups: groups, init_type: type } = configOf(o);
    const features = site.kind === "linear" ? site.inFeatures : 0;
    const init = type === "random" ? randomDirection : filled(0);
    const direction = {
      key: "lora_velora_embed",
      shape: [groupSize(features, groups)],
      init,
      trainable: false,
    };
    return { ...plain, direction };
  },
  build,
};
