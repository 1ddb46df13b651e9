/** Arithmetic on tensors of several adapters: pruning, election of signs, weighted sums (TIES arXiv:2306.01708, DARE arXiv:2311.03099). */
import { InternalError } from "../diagnostics/define.ts";

/** One adapter's tensor, and how much it counts. */
export interface TaskTensor {
  readonly values: ArrayLike<number>;
  readonly weight: number;
}

/** How tensors of equal size become one. */
export interface TaskRule {
  /** What is left of each tensor first: its largest elements, or random ones, scaled up for those that are dropped. */
  readonly prune?: "magnitude" | "random";
  /** Share of elements that pruning leaves, in (0, 1]. */
  readonly density: number;
  /** Whether only elements count that have the sign of the majority: of the sum, or of the number of signs. */
  readonly elect?: "total" | "frequency";
  /** Uniform numbers in [0, 1), one for each element in turn, for random pruning. */
  readonly draw: () => number;
}

/** The tensors under a rule, in float64. */
export function combineTensors(tensors: readonly TaskTensor[], rule: TaskRule): Float64Array<ArrayBuffer> {
  const [first] = tensors;
  if (first === undefined) throw new InternalError("there are no tensors to combine");
  const size = first.values.length;
  if (tensors.some(({ values }) => values.length !== size))
    throw new InternalError("tensors of different sizes were to be combined");
  const kept = tensors.map(({ values }) => pruned(values, rule));
  const result = new Float64Array(size);
  for (let i = 0; i < size; i++) {
    const sign = rule.elect === undefined ? undefined : majority(kept, i, rule.elect);
    let sum = 0;
    let count = 0;
    kept.forEach((values, at) => {
      const value = values[i] ?? 0;
      if (sign !== undefined && Math.sign(value) !== sign) return;
      sum += value * (tensors[at]?.weight ?? 0);
      count += 1;
    });
    // Those that were elected are averaged, not summed.
    result[i] = sign === undefined ? sum : sum / Math.max(count, 1);
  }
  return result;
}

function pruned(values: ArrayLike<number>, { prune, density, draw }: TaskRule): ArrayLike<number> {
  if (prune === undefined || density >= 1) return values;
  if (prune === "magnitude") return largest(values, Math.floor(density * values.length));
  // PyTorch compares with the density as a float32.
  const share = Math.fround(density);
  return Float64Array.from(values, (value) => (draw() < share ? value / density : 0));
}

/** The `count` elements of largest magnitude, the first ones where some are equal; zeros elsewhere. */
function largest(values: ArrayLike<number>, count: number): Float64Array {
  const magnitude = (i: number): number => Math.abs(values[i] ?? 0);
  const order = Array.from({ length: values.length }, (_, i) => i);
  order.sort((a, b) => magnitude(b) - magnitude(a) || a - b);
  const result = new Float64Array(values.length);
  for (const i of order.slice(0, count)) result[i] = values[i] ?? 0;
  return result;
}

/** 1 or -1; 1 where both sides weigh the same. */
function majority(tensors: readonly ArrayLike<number>[], at: number, by: "total" | "frequency"): number {
  let balance = 0;
  for (const values of tensors) {
    const value = values[at] ?? 0;
    balance += by === "total" ? value : Math.sign(value);
  }
  return balance >= 0 ? 1 : -1;
}
