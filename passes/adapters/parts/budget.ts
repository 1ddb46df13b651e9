/** AdaLoRA's budget: which singular values stay, by how much the loss is sensitive to them (Zhang et al. 2023, section 3). */
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { dimOf } from "../../../src/ops/facts.ts";
import type { ByModule, UpdateHook } from "../../../src/training/update-hook.ts";

/** Options of the schedule. */
export interface BudgetOptions {
  readonly init_r: number;
  readonly target_r: number;
  readonly tinit: number;
  readonly tfinal: number;
  readonly deltaT: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly total_step: number | null;
}

type Factor = "A" | "B" | "E";
type State = "sensitivity" | "uncertainty" | "dropped";

const names = ["A", "B", "E"] as const;

/** The hook of a run of `total` updates. */
export function budgetHook(total: number): UpdateHook<BudgetOptions, Factor, State> {
  return {
    names,
    state: { sensitivity: names, uncertainty: names, dropped: ["E"] },
    after: ({ b, param, grad, state, step: count, options: o, split, join }) => {
      // The loop that PEFT documents counts from 0.
      const step = b.sub(count, 1);
      const end = total - o.tfinal;
      const allocates = b.less(step, end);
      const { sensitivity, uncertainty } = smoothed(b, b.abs(b.mul(param, grad)), state, o);
      const after = {
        sensitivity: b.where(allocates, sensitivity, state.sensitivity),
        uncertainty: b.where(allocates, uncertainty, state.uncertainty),
      };
      const scores = tripletScores(b, split(b.mul(after.sensitivity, after.uncertainty), names));
      const all = scores.length * o.init_r;
      const limit = threshold(b, scores, surplus(b, step, end, all, scores.length, o));
      const doomed = b.cast(b.lessOrEqual(b.concat(scores, 0), limit), "float32");
      const chooses = b.or(
        b.and(b.and(allocates, b.greater(step, o.tinit)), b.equal(b.mod(step, o.deltaT), 0)),
        b.equal(step, end),
      );
      const dropped = b.where(chooses, doomed, state.dropped);
      // Between two choices the values may grow again; behind the last one they may not.
      const masks = b.or(chooses, b.greater(step, end));
      const kept = b.where(masks, b.sub(1, dropped), b.fillLike(dropped, 1));
      const factors = split(param, names);
      const keptOf = split(kept, ["E"]);
      const masked = factors.map(({ A, B, E }, i) => ({ A, B, E: b.mul(E, keptOf[i]?.E ?? E) }));
      return { param: join(masked, names), state: { ...after, dropped } };
    },
  };
}

/** Means of the sensitivities, and of their distances from these means. */
function smoothed(
  b: OpBuilder,
  now: Value,
  state: Readonly<Record<State, Value>>,
  { beta1, beta2 }: BudgetOptions,
): Readonly<Record<"sensitivity" | "uncertainty", Value>> {
  const sensitivity = b.add(b.mul(state.sensitivity, beta1), b.mul(now, 1 - beta1));
  const distance = b.abs(b.sub(now, sensitivity));
  return { sensitivity, uncertainty: b.add(b.mul(state.uncertainty, beta2), b.mul(distance, 1 - beta2)) };
}

/** For each module, [r]: the score of every singular value with the means over its row of A and its column of B. */
function tripletScores(b: OpBuilder, modules: ByModule<Factor>): Value[] {
  return modules.map(({ A, B, E }) =>
    b.add(b.add(b.reshape(E, [-1]), b.reduceMean(A, [1], false)), b.reduceMean(B, [0], false)),
  );
}

/** How many values are too many at a step, int64 scalar: the budget falls from all to the target with a cubed share of the time. */
function surplus(
  b: OpBuilder,
  step: Value,
  end: number,
  all: number,
  modules: number,
  { target_r, tinit }: BudgetOptions,
): Value {
  const target = target_r * modules;
  const past = b.div(b.sub(b.cast(step, "float64"), tinit), end - tinit);
  const left = b.max(b.sub(1, past), 0);
  const budget = b.add(b.mul(b.pow(left, 3), all - target), target);
  return b.sub(all, b.cast(b.op("Floor", [budget]), "int64"));
}

/** The score up to which values are dropped: that of the last one which is too many, below all where none is. */
function threshold(b: OpBuilder, scores: readonly Value[], count: Value): Value {
  const all = b.concat(scores, 0);
  const size = Number(dimOf(all, 0));
  const [ascending] = b.ops("TopK", [all, b.ints([size])], { axis: 0, largest: 0, sorted: 1 }, 2);
  const at = b.gather(ascending ?? all, b.max(b.sub(count, 1), 0), 0);
  return b.where(b.greater(count, 0), at, -1);
}
