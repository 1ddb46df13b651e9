/** Repeats a piece of work and sums up how long it took. */

/** Middle and quartiles of several measurements. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly runs: number;
}

/** What was measured: one line of the table, one entry of the results. */
export interface Row extends Spread {
  readonly bench: string;
  readonly subject: string;
  readonly unit: "ms" | "s" | "MB";
}

/** Milliseconds of some runs of `work`, after one that does not count. */
export async function measure(work: () => unknown, runs = 7): Promise<Spread> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return spreadOf(times);
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return { median: at(0.5), low: at(0.25), high: at(0.75), runs: values.length };
}
