/** The sequence of batches: order by seed and epoch, the last batch, and resuming at a saved place. */
import { describe, expect, it } from "vitest";
import type { Batch, Dataset } from "../../src/data/batch.ts";
import {
  Batches,
  type BatchesOptions,
  type BatchesState,
  batchesStateSchema,
} from "../../src/data/batches.ts";
import { TokenWindows } from "../../src/data/causal-text.ts";
import { InternalError } from "../../src/diagnostics/define.ts";

/** Gives back the numbers of its examples. */
function numbered(rows: number): Dataset {
  return {
    rows,
    fields: ["row"],
    collate: (chosen) => ({ row: { dtype: "int32", shape: [chosen.length], data: Int32Array.from(chosen) } }),
  };
}

function batchesOf(rows: number, options: Partial<BatchesOptions> = {}): Batches {
  return new Batches(numbered(rows), { batch: 4, order: "shuffled", wanted: [], ...options });
}

const rowsOf = (batch: Batch): number[] => [...(batch.row?.data ?? [])].map(Number);
const take = (batches: Batches, count: number): number[][] =>
  Array.from({ length: count }, () => rowsOf(batches.next()));
const sorted = (rows: number[]): number[] => rows.toSorted((a, b) => a - b);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe("order", () => {
  it("goes through the data as it is, epoch after epoch", () => {
    expect(take(batchesOf(6, { order: "in-order" }), 4)).toEqual([
      [0, 1, 2, 3],
      [4, 5],
      [0, 1, 2, 3],
      [4, 5],
    ]);
  });

  it("leaves out a last batch that is not whole when asked to", () => {
    const batches = batchesOf(10, { dropLast: true });
    expect(batches.perEpoch).toBe(2);
    const epoch = [...batches].map(rowsOf);
    expect(epoch.map((rows) => rows.length)).toEqual([4, 4]);
    expect(new Set(epoch.flat()).size).toBe(8);
  });

  it("shuffles: every example once an epoch, in another order each time", () => {
    const batches = batchesOf(10, { seed: 3 });
    expect(batches.perEpoch).toBe(3);
    const first = [...batches].flatMap(rowsOf);
    const second = [...batches].flatMap(rowsOf);
    expect(sorted(first)).toEqual(upTo(10));
    expect(sorted(second)).toEqual(upTo(10));
    expect(first).not.toEqual(second);
    expect(first).not.toEqual(upTo(10));
  });

  it("is the same for the same seed, and another for another", () => {
    expect(take(batchesOf(20, { seed: 3 }), 9)).toEqual(take(batchesOf(20, { seed: 3 }), 9));
    expect(take(batchesOf(20, { seed: 3 }), 5)).not.toEqual(take(batchesOf(20, { seed: 4 }), 5));
  });

  it("does not depend on the size of batches", () => {
    const order = take(batchesOf(20, { seed: 3 }), 10).flat();
    expect(take(batchesOf(20, { seed: 3, batch: 5 }), 8).flat()).toEqual(order);
  });

  it("draws with repetition, as many examples an epoch as asked for", () => {
    const batches = batchesOf(1000, { order: "sampled", epochRows: 12 });
    expect(batches.perEpoch).toBe(3);
    const first = [...batches].flatMap(rowsOf);
    expect(first.length).toBe(12);
    expect(first.every((row) => row >= 0 && row < 1000)).toBe(true);
    expect([...batches].flatMap(rowsOf)).not.toEqual(first);
    const few = [...batchesOf(3, { order: "sampled", epochRows: 40 })].flatMap(rowsOf);
    expect(few.length).toBe(40);
    expect(new Set(few)).toEqual(new Set([0, 1, 2]));
  });

  it("counts epochs by the batch that comes next", () => {
    const batches = batchesOf(6);
    const epochs = upTo(5).map(() => {
      const { epoch } = batches;
      batches.next();
      return epoch;
    });
    expect(epochs).toEqual([0, 0, 1, 1, 2]);
  });

  it("refuses data that has no batch at all, and epochs larger than the data without repetition", () => {
    expect(() => batchesOf(3, { dropLast: true })).toThrow(/E_BATCH_ROWS[\s\S]*at most 3/);
    expect(() => batchesOf(0)).toThrow(/E_BATCH_ROWS/);
    expect(() => batchesOf(3, { epochRows: 4 })).toThrow(InternalError);
    expect(batchesOf(3).perEpoch).toBe(1);
  });
});

describe("batches of like length", () => {
  const lengths = (row: number): number => (row * 37) % 101;
  const grouped = (rows: number, lengthOf?: (row: number) => number) =>
    new Batches({ ...numbered(rows), lengthOf }, { batch: 4, order: "by-length", seed: 5, wanted: [] });
  const spread = (rows: readonly number[]): number =>
    Math.max(...rows.map(lengths)) - Math.min(...rows.map(lengths));
  const mean = (numbers: readonly number[]): number =>
    numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

  it("hold every example once an epoch, the last batch being the one that is not whole", () => {
    const epoch = [...grouped(402, lengths)].map(rowsOf);
    expect(sorted(epoch.flat())).toEqual(upTo(402));
    expect(epoch.map((rows) => rows.length).slice(-2)).toEqual([4, 2]);
  });

  it("are far more alike than shuffled ones, and come in another order each epoch, long and short mixed", () => {
    const batches = grouped(400, lengths);
    const [first, second] = [[...batches].map(rowsOf), [...batches].map(rowsOf)];
    const shuffled = [...batchesOf(400, { seed: 5 })].map(rowsOf);
    expect(mean(first.map(spread))).toBeLessThan(mean(shuffled.map(spread)) / 10);
    expect(first).not.toEqual(second);
    const tops = first.map((rows) => Math.max(...rows.map(lengths)));
    expect(tops).not.toEqual(sorted(tops));
    expect(Math.abs(mean(tops.slice(0, 50)) - mean(tops.slice(50)))).toBeLessThan(20);
  });

  it("stay together where a run takes several, which then are padded alike", () => {
    const padded = {
      ...numbered(48),
      lengthOf: lengths,
      collate: (rows: ArrayLike<number>) => {
        const width = Math.max(...Array.from(rows, lengths)) + 1;
        const data = Float32Array.from(
          { length: rows.length * width },
          (_, i) => rows[Math.floor(i / width)] ?? -1,
        );
        return { x: { dtype: "float32" as const, shape: [rows.length, width], data } };
      },
    };
    const batches = new Batches(padded, { batch: 4, together: 3, order: "by-length", seed: 5, wanted: [] });
    const rowsSeen: number[] = [];
    for (let run = 0; run < 4; run++) {
      const alike = batches.nextAlike();
      const widths = alike.map(({ x }) => x?.shape[1] ?? 0);
      expect(alike.map(({ x }) => x?.shape[0])).toEqual([4, 4, 4]);
      expect(new Set(widths).size).toBe(1);
      const rows = alike.flatMap(({ x }) =>
        Array.from({ length: 4 }, (_, i) => Number(x?.data[i * (x.shape[1] ?? 0)])),
      );
      expect(Math.max(...rows.map(lengths)) + 1).toBe(widths[0]);
      rowsSeen.push(...rows);
    }
    expect(sorted(rowsSeen)).toEqual(upTo(48));
    expect(batches.state()).toMatchObject({ epoch: 0, used: 48 });
  });

  it("are shuffled ones where lengths do not differ", () => {
    expect(take(grouped(20), 5)).toEqual(take(batchesOf(20, { seed: 5 }), 5));
  });
});

describe("resuming", () => {
  const kinds: Partial<BatchesOptions>[] = [
    { order: "in-order" },
    { order: "shuffled", seed: 8 },
    { order: "shuffled", seed: 8, dropLast: true },
    { order: "by-length", seed: 8 },
    { order: "sampled", seed: 8, epochRows: 9 },
  ];

  it.each(kinds)("goes on exactly from any place: %o", (options) => {
    const whole = take(batchesOf(11, options), 12);
    for (let steps = 0; steps < 9; steps++) {
      const before = batchesOf(11, options);
      take(before, steps);
      const saved: unknown = JSON.parse(JSON.stringify(before.state()));
      const after = batchesOf(11, options);
      take(after, 5);
      after.seek(batchesStateSchema.parse(saved));
      expect(after.epoch).toBe(before.epoch);
      expect(take(after, 12 - steps)).toEqual(whole.slice(steps));
    }
  });

  it("gives the rest of the epoch after a place in its middle", () => {
    const batches = batchesOf(10, { seed: 1 });
    const epoch = [...batches].map(rowsOf);
    const resumed = batchesOf(10, { seed: 1 });
    resumed.next();
    const state = resumed.state();
    const again = batchesOf(10, { seed: 1 });
    again.seek(state);
    expect([...again].map(rowsOf)).toEqual(epoch.slice(1));
  });

  it("refuses a place of other data, order or seed", () => {
    const state = batchesOf(10).state();
    const others: [string, BatchesState][] = [
      ["rows", { ...state, rows: 9 }],
      ["seed", { ...state, seed: 1 }],
      ["order", { ...state, order: "sampled" }],
    ];
    for (const [what, other] of others) {
      expect(() => batchesOf(10).seek(other)).toThrow(new RegExp(`E_DATA_POSITION.*${what}`));
    }
    expect(batchesStateSchema.safeParse({ ...state, epoch: -1 }).success).toBe(false);
  });
});

describe("with a real source", () => {
  it("hands on the fields that the model reads, and no others", () => {
    const windows = new TokenWindows(Int32Array.from(upTo(20)), { length: 4, stride: 1, source: "text" });
    const wanted = [{ name: "input_ids", dtype: "int64" } as const];
    const batches = new Batches(windows, { batch: 2, order: "sampled", epochRows: 4, seed: 5, wanted });
    for (const batch of batches) {
      expect(Object.keys(batch)).toEqual(["input_ids"]);
      expect(batch.input_ids?.shape).toEqual([2, 4]);
      const [first = 0, second] = batch.input_ids?.data ?? [];
      expect(Number(second)).toBe(Number(first) + 1);
    }
  });
});
