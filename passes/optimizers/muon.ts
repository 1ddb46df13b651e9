/** Muon: the momentum of every matrix, made orthogonal by a few Newton-Schulz steps. */
import { z } from "zod";
import { InternalError } from "../../src/diagnostics/define.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";
import type { FlatSlice } from "../../src/training/flatten.ts";
import { decayOption, decoupled } from "./core/decay.ts";
import { momentOptions, momentStep } from "./core/moments.ts";

const isMatrix = ({ shape }: FlatSlice): boolean => shape.length === 2;

/** Of the quintic whose iterates bring all singular values near 1 (Jordan et al. 2024). */
const [first, third, fifth] = [3.4445, -4.775, 2.0315];

export default defineOptimizer({
  name: "muon",
  summary: "Momentum whose matrices are made orthogonal; AdamW for all that are no matrices",
  paper:
    "Jordan et al. 2024, Muon: An optimizer for hidden layers in neural networks, https://kellerjordan.github.io/posts/muon",
  options: z.strictObject({
    ...momentOptions,
    momentum: z.number().min(0).lt(1).default(0.95).describe("decay of the mean of a matrix's gradients"),
    nesterov: z.boolean().default(true).describe("look ahead by one momentum step"),
    ns_steps: z.int().min(1).default(5).describe("Newton-Schulz steps"),
    adjust_lr: z
      .enum(["original", "match_rms_adamw"])
      .default("original")
      .describe("factor of lr: root of rows / columns, at least 1, or 0.2 times the root of the longer side"),
    weight_decay: decayOption.default(0.1),
  }),
  state: () => ["m", "v"],
  holds: (state, slice) => state === "m" || !isMatrix(slice),
  lacks: (slices) =>
    slices.some(isMatrix)
      ? undefined
      : { expected: "trained matrices", got: `tensors such as "${slices[0]?.key ?? ""}"` },
  update: (context) => {
    const { grad, state, lr, b, layout, options: o } = context;
    const [grads, means] = [layout.split(b, grad), layout.split(b, state.m)];
    const matrices = places(layout.slices, isMatrix);
    const vectors = places(layout.slices, (slice) => !isMatrix(slice));
    const changes = new Map<number, Value>();
    const momenta = new Map<number, Value>();
    for (const group of byShape(layout.slices, matrices)) {
      const [rows = 0, columns = 0] = layout.slices[group[0] ?? 0]?.shape ?? [];
      const now = stacked(b, grads, group);
      const mean = b.add(b.mul(stacked(b, means, group), o.momentum), b.mul(now, 1 - o.momentum));
      const direction = o.nesterov ? b.add(b.mul(now, 1 - o.momentum), b.mul(mean, o.momentum)) : mean;
      const size =
        o.adjust_lr === "original"
          ? Math.sqrt(Math.max(1, rows / columns))
          : 0.2 * Math.sqrt(Math.max(rows, columns));
      const change = b.mul(b.mul(orthogonal(b, direction, rows > columns, o.ns_steps), size), lr);
      unstacked(b, change, group).forEach((part, i) => changes.set(group[i] ?? -1, part));
      unstacked(b, mean, group).forEach((part, i) => momenta.set(group[i] ?? -1, part));
    }
    let v: Value | undefined;
    if (vectors.length > 0) {
      const joined = (from: readonly Value[]): Value =>
        concatenated(
          b,
          vectors.map((place) => b.reshape(at(from, place), [-1])),
        );
      const step = momentStep({ ...context, grad: joined(grads), state: { m: joined(means), v: state.v } });
      const sizes = vectors.map((place) => count(layout.slices[place]));
      parts(b, step.change, sizes).forEach((part, i) => changes.set(vectors[i] ?? -1, part));
      parts(b, step.state.m, sizes).forEach((part, i) => momenta.set(vectors[i] ?? -1, part));
      v = step.state.v;
    }
    const inOrder = (from: ReadonlyMap<number, Value>): Value =>
      layout.join(
        b,
        layout.slices.map((_, place) => at(from, place)),
      );
    const after = b.sub(decoupled(context, o.weight_decay), inOrder(changes));
    return { param: after, state: { m: inOrder(momenta), v: v ?? state.m } };
  },
});

/** The polar factor of matrices (count, rows, columns), roughly: singular values end between 0.7 and 1.2. */
function orthogonal(b: OpBuilder, matrices: Value, isTall: boolean, steps: number): Value {
  const wide = isTall ? b.transpose(matrices, [0, 2, 1]) : matrices;
  const norm = b.sqrt(b.reduceSumSquare(wide, [1, 2]));
  let x = b.div(wide, b.max(norm, 1e-7));
  for (let step = 0; step < steps; step++) {
    const gram = b.matmul(x, b.transpose(x, [0, 2, 1]));
    const factor = b.add(b.mul(gram, third), b.mul(b.matmul(gram, gram), fifth));
    x = b.add(b.mul(x, first), b.matmul(factor, x));
  }
  return isTall ? b.transpose(x, [0, 2, 1]) : x;
}

function places(slices: readonly FlatSlice[], wanted: (slice: FlatSlice) => boolean): number[] {
  return slices.flatMap((slice, place) => (wanted(slice) ? [place] : []));
}

function byShape(slices: readonly FlatSlice[], chosen: readonly number[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const place of chosen) {
    const shape = slices[place]?.shape.join() ?? "";
    groups.set(shape, [...(groups.get(shape) ?? []), place]);
  }
  return [...groups.values()];
}

function stacked(b: OpBuilder, tensors: readonly Value[], group: readonly number[]): Value {
  return concatenated(
    b,
    group.map((place) => b.unsqueeze(at(tensors, place), [0])),
  );
}

function unstacked(b: OpBuilder, stack: Value, group: readonly number[]): Value[] {
  return parts(
    b,
    stack,
    group.map(() => 1),
  );
}

function parts(b: OpBuilder, whole: Value, sizes: readonly number[]): Value[] {
  return sizes.length === 1 ? [whole] : b.ops("Split", [whole, b.ints(sizes)], { axis: 0 }, sizes.length);
}

function concatenated(b: OpBuilder, values: readonly Value[]): Value {
  const [only, ...others] = values;
  if (only === undefined) throw new InternalError("nothing to stack");
  return others.length === 0 ? only : b.concat(values, 0);
}

function count(slice: FlatSlice | undefined): number {
  return slice?.shape.reduce((product, size) => product * size, 1) ?? 0;
}

function at(from: readonly Value[] | ReadonlyMap<number, Value>, place: number): Value {
  const value = "get" in from ? from.get(place) : from[place];
  if (value === undefined) throw new InternalError("a tensor of an update is missing");
  return value;
}
