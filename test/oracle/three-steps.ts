/** Three steps of training in memory, and the gradient of the loss against central differences in the runtime. */
import { expect } from "vitest";
import type { Compiled } from "../../src/compile/compile.ts";
import { Random } from "../../src/data/random.ts";
import { roleOf } from "../../src/ir/role.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { advance, type Batch, GraphSession, resultOf, splitFlat, startingState } from "./graph-session.ts";

export async function evalLoss(compiled: Compiled, batch: Batch): Promise<number> {
  const session = await GraphSession.open(compiled.graphs.eval);
  try {
    return scalar(resultOf(await session.run(batch, startingState(compiled, "eval")), "loss"));
  } finally {
    await session.close();
  }
}

export async function threeSteps(
  compiled: Compiled,
  batch: Batch,
): Promise<{ losses: number[]; before: Map<string, NDArray>; after: Map<string, NDArray> }> {
  const session = await GraphSession.open(compiled.graphs.train);
  const [param] = compiled.graphs.train.graph.inputs.filter((input) => roleOf(input) === "param");
  if (param === undefined) throw new Error("nothing is trained");
  const state = startingState(compiled, "train");
  const flat = (): NDArray => state.get(param.name) ?? fromNumbers("float32", [0], []);
  const before = splitFlat(param, flat());
  const losses: number[] = [];
  try {
    for (let step = 0; step < 3; step++) {
      const results = await session.run(batch, state, { lr: fromNumbers("float32", [], [1e-3]) });
      losses.push(scalar(resultOf(results, "loss")));
      advance(state, results);
    }
  } finally {
    await session.close();
  }
  return { losses, before, after: splitFlat(param, flat()) };
}

/** Lengths of steps, in order of trial: at the last, rounding is some 2e-4 of a loss of 1. */
const steps = [0.02, 0.005, 0.002] as const;

/**
 * The derivative along a direction, from parameters moved off their start (where B is zero and A gets no gradient), against
 * central differences. The direction is half random and half the gradient's own, so that the slope is of the gradient's
 * size. A float32 loss carries some 4e-7 of relative rounding, which the step divides; the rest is the third derivative. Kinks
 * that lie within a step spoil it, so that shorter ones are tried before the gradient is said to be wrong.
 */
export async function checkDirection(compiled: Compiled, batch: Batch): Promise<void> {
  const random = new Random(7);
  const start = startingState(compiled, "grad");
  const [input] = compiled.graphs.grad.graph.inputs.filter((value) => roleOf(value) === "param");
  const flat = start.get(input?.name ?? "");
  if (input === undefined || flat === undefined) throw new Error("nothing is trained");
  const at = flat.numbers.map((value) => Math.fround(value + 0.02 * random.normal()));
  const grad = await GraphSession.open(compiled.graphs.grad);
  try {
    const run = (values: Float64Array<ArrayBuffer>): ReturnType<GraphSession["run"]> =>
      grad.run(batch, new Map([[input.name, new NDArray("float32", [values.length], values)]]));
    const results = await run(at);
    const gradient = resultOf(results, "grad").numbers;
    const noise = normalized(gradient.map(() => random.normal()));
    const along = normalized(normalized(gradient).map((value, i) => value + (noise[i] ?? 0)));
    const slope = gradient.reduce((sum, value, i) => sum + value * (along[i] ?? 0), 0);
    const loss = scalar(resultOf(results, "loss"));
    const misses: string[] = [];
    for (const step of steps) {
      const moved = async (sign: number): Promise<number> =>
        scalar(
          resultOf(
            await run(at.map((value, i) => Math.fround(value + sign * step * (along[i] ?? 0)))),
            "loss",
          ),
        );
      const measured = ((await moved(1)) - (await moved(-1))) / (2 * step);
      const rounding = (4e-7 * Math.max(1, Math.abs(loss))) / step;
      if (Math.abs(measured - slope) <= rounding + 5e-3 * Math.abs(slope)) return;
      misses.push(`${measured} by steps of ${step}`);
    }
    expect.fail(`the slope is ${slope}, but measured ${misses.join(", ")}`);
  } finally {
    await grad.close();
  }
}

export function normalized(vector: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return vector.map((value) => value / length);
}

export function scalar(array: NDArray): number {
  return array.toNumbers()[0] ?? Number.NaN;
}
