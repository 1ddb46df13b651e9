/** Repeats a piece of work and sums up how long it took. */

/** Milliseconds: median, and the quartiles around it. */
export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
  readonly runs: number;
}

/** Runs `work` a few times after one run that does not count. */
export async function measure(work: () => unknown, runs = 7): Promise<Spread> {
  await work();
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.round(share * (times.length - 1))] ?? Number.NaN;
  return { median: at(0.5), low: at(0.25), high: at(0.75), runs };
}
