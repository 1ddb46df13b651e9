/** AdaMSS's allocation: which subspaces are trained on, by how much the loss is sensitive to them. */
import { InternalError } from "../../../src/diagnostics/define.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import type { ByModule, UpdateHook } from "../../../src/training/update-hook.ts";

/** Options of the schedule. */
export interface AllocationOptions {
  readonly num_subspaces: number;
  readonly asa_target_subspaces: number;
  readonly init_warmup: number;
  readonly final_warmup: number;
  readonly mask_interval: number;
  readonly asa_importance_beta: number;
  readonly asa_uncertainty_beta: number;
  readonly asa_schedule_exponent: number;
}

type State = "importance" | "uncertainty" | "dropped";

/** Names of the factors of a subspace. */
export const factorsOf = (subspace: number): readonly [string, string] => [`A${subspace}`, `B${subspace}`];

/** A subspace that was dropped keeps its factors and has no gradient from then on. */
export function allocationHook(o: AllocationOptions): UpdateHook<AllocationOptions, string, State> {
  const subspaces = Array.from({ length: o.num_subspaces }, (_, i) => factorsOf(i));
  const names = subspaces.flat();
  /** For each module and subspace, by its two factors. */
  const eachOf = <T>(modules: ByModule<string>, of: (factors: readonly Value[]) => T): T[] =>
    modules.flatMap((module) => subspaces.map((pair) => of(pair.map((name) => need(module, name)))));
  return {
    names,
    state: { importance: names, uncertainty: names, dropped: names },
    gradient: ({ b, grad, state }) => b.where(b.greater(state.dropped, 0.5), 0, grad),
    after: ({ b, param, previous, grad, state, step: count, split, join }) => {
      // The loop that PEFT documents counts from 0.
      const step = b.sub(count, 1);
      const allocates = b.and(b.greaterOrEqual(step, o.init_warmup), b.lessOrEqual(step, o.final_warmup));
      const masks = b.and(allocates, b.equal(b.mod(step, o.mask_interval), 0));
      const now = b.abs(b.mul(param, grad));
      const smooth = (before: Value, after: Value, beta: number): Value =>
        b.where(allocates, b.add(b.mul(before, beta), b.mul(after, 1 - beta)), before);
      const distance = b.abs(b.sub(now, state.importance));
      const uncertainty = smooth(state.uncertainty, distance, o.asa_uncertainty_beta);
      const importance = smooth(state.importance, now, o.asa_importance_beta);
      const mean = (value: Value): Value => b.reduceMean(value, undefined, false);
      const scores = eachOf(split(b.mul(importance, uncertainty), names), ([A, B]) =>
        A === undefined || B === undefined ? [] : [b.unsqueeze(b.add(mean(A), mean(B)), [0])],
      ).flat();
      const modules = split(state.dropped, names);
      const gone = b.greater(
        b.concat(
          eachOf(modules, ([A]) =>
            A === undefined ? [] : [b.slice(b.reshape(A, [-1]), { starts: [0], ends: [1], axes: [0] })],
          ).flat(),
          0,
        ),
        0.5,
      );
      const ranked = b.where(gone, -1, b.concat(scores, 0));
      const limit = threshold(b, ranked, wanted(b, step, scores.length, o), scores.length);
      const doomed = b.or(gone, b.and(masks, b.lessOrEqual(ranked, limit)));
      const flags = b.cast(doomed, "float32");
      const dropped = join(
        modules.map((module, at) =>
          Object.fromEntries(
            subspaces.flatMap((pair, i) => {
              const place = at * subspaces.length + i;
              const flag = b.slice(flags, { starts: [place], ends: [place + 1], axes: [0] });
              return pair.map((name) => [name, b.expand(flag, b.shape(need(module, name)))]);
            }),
          ),
        ),
        names,
      );
      return {
        param: b.where(b.greater(state.dropped, 0.5), previous(), param),
        state: {
          importance: b.where(masks, 0, importance),
          uncertainty: b.where(masks, 0, uncertainty),
          dropped,
        },
      };
    },
  };
}

function need(module: Readonly<Record<string, Value>>, name: string): Value {
  const value = module[name];
  if (value === undefined) throw new InternalError(`a module has no factor ${name}`);
  return value;
}

/** How many subspaces a step leaves: from all to the target, with a power of the share of the time, int64 scalar. */
function wanted(b: OpBuilder, step: Value, all: number, o: AllocationOptions): Value {
  const { asa_target_subspaces: target, init_warmup: start, final_warmup: end } = o;
  const past = b.div(b.sub(b.cast(step, "float64"), start), end - start);
  const left = b.min(b.max(b.sub(1, past), 0), 1);
  const power = b.pow(left, o.asa_schedule_exponent);
  return b.cast(b.op("Floor", [b.add(b.mul(power, all - target), target)]), "int64");
}

/** The score up to which subspaces are dropped: the last that would stay, as in PEFT, or one below all where all may stay. */
function threshold(b: OpBuilder, ranked: Value, count: Value, all: number): Value {
  const [falling] = b.ops("TopK", [ranked, b.ints([all])], { axis: 0, largest: 1, sorted: 1 }, 2);
  const alive = b.reduceSum(b.cast(b.greaterOrEqual(ranked, 0), "int64"), undefined, false);
  const at = b.gather(falling ?? ranked, b.min(b.max(b.sub(count, 1), 0), all - 1), 0);
  return b.where(b.less(count, alive), at, -1);
}
