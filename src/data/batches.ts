/** An endless sequence of batches in seeded order, whose place can be saved and found again exactly. */
import { z } from "zod";
import { dataErrors } from "../diagnostics/data.ts";
import { InternalError } from "../diagnostics/define.ts";
import { type Batch, type Dataset, type FieldRequest, splitBatch } from "./batch.ts";
import { Random } from "./random.ts";

/**
 * Order of the examples of an epoch: as they are, each once in random order, the same with examples of like length in one
 * batch, or drawn at random with repetition (as many as there are).
 */
type RowOrder = BatchesState["order"];

export interface BatchesOptions {
  /** Examples of a batch. */
  readonly batch: number;
  readonly order: RowOrder;
  readonly seed?: number;
  /** Leave out the last batch of an epoch if it is not whole. */
  readonly dropLast?: boolean;
  /** Examples of an epoch; those that the data has unless given. Fewer make sense with `sampled`. */
  readonly epochRows?: number;
  /** Batches that {@link Batches.nextAlike} gives at once, 1 unless given: those of like length then stay together, too. */
  readonly together?: number;
  /** Fields that the model reads; no others are made. */
  readonly wanted: readonly FieldRequest[];
}

/** A place between two batches, as plain JSON; the last three tell whether it is one of the same data. */
export const batchesStateSchema = z.strictObject({
  epoch: z.int().nonnegative(),
  /** Examples of the epoch that were used. */
  used: z.int().nonnegative(),
  rows: z.int().nonnegative(),
  order: z.enum(["in-order", "shuffled", "by-length", "sampled"]),
  seed: z.int(),
});

export type BatchesState = z.output<typeof batchesStateSchema>;

/** Batches, or groups of them that stay together, of a window that examples are sorted in: enough that neighbours are alike, few enough that epochs differ. */
const windowBatches = 50;

export class Batches implements Iterable<Batch> {
  /** Batches of a whole epoch. */
  readonly perEpoch: number;
  readonly #dataset: Dataset;
  readonly #options: BatchesOptions;
  /** Examples of an epoch that get into batches. */
  readonly #epochRows: number;
  readonly #seed: number;
  #epoch = 0;
  #used = 0;
  #order: { readonly epoch: number; readonly rows: Uint32Array } | undefined;

  /** @throws DiagnosticError `E_BATCH_ROWS` when an epoch has no batch at all. */
  constructor(dataset: Dataset, options: BatchesOptions) {
    const { batch, dropLast = false, epochRows = dataset.rows, seed = 0 } = options;
    const whole = Math.floor(epochRows / batch);
    this.perEpoch = dropLast ? whole : Math.ceil(epochRows / batch);
    if (this.perEpoch === 0 || dataset.rows === 0) throw dataErrors.E_BATCH_ROWS(dataset.rows, batch);
    if (epochRows > dataset.rows && options.order !== "sampled") {
      throw new InternalError(`an epoch of ${epochRows} examples from ${dataset.rows} without repetition`);
    }
    this.#dataset = dataset;
    this.#options = options;
    this.#epochRows = dropLast ? whole * batch : epochRows;
    this.#seed = seed;
  }

  /** Number of the epoch that the next batch belongs to, from 0. */
  get epoch(): number {
    return this.#used < this.#epochRows ? this.#epoch : this.#epoch + 1;
  }

  /** The next batch; after the last of an epoch comes the first of the next. */
  next(): Batch {
    return this.#dataset.collate(this.#nextRows(), this.#options.wanted);
  }

  /** The next batches, padded to one length, as a run of several steps takes them. */
  nextAlike(): Batch[] {
    const { together = 1, wanted } = this.#options;
    if (together === 1) return [this.next()];
    const parts = Array.from({ length: together }, () => this.#nextRows());
    const whole = this.#dataset.collate(
      parts.flatMap((rows) => [...rows]),
      wanted,
    );
    return (
      splitBatch(
        whole,
        parts.map(({ length }) => length),
      ) ?? parts.map((rows) => this.#dataset.collate(rows, wanted))
    );
  }

  #nextRows(): Uint32Array {
    this.#turn();
    const end = Math.min(this.#used + this.#options.batch, this.#epochRows);
    const rows = this.#epochOrder().subarray(this.#used, end);
    this.#used = end;
    return rows;
  }

  /** The batches that are left of the epoch; a new iterator after the last gives the next epoch. */
  *[Symbol.iterator](): Generator<Batch> {
    this.#turn();
    while (this.#used < this.#epochRows) yield this.next();
  }

  /** The place before the next batch. */
  state(): BatchesState {
    const { order } = this.#options;
    return { epoch: this.#epoch, used: this.#used, rows: this.#dataset.rows, order, seed: this.#seed };
  }

  /**
   * Goes to a saved place, so that the batches from there on are the same bit for bit.
   *
   * @throws DiagnosticError `E_DATA_POSITION` when it was saved with other data, order or seed.
   */
  seek(state: BatchesState): void {
    const own = this.state();
    for (const what of ["rows", "order", "seed"] as const) {
      if (state[what] === own[what]) continue;
      throw dataErrors.E_DATA_POSITION(`${what} of the data`, String(state[what]), String(own[what]));
    }
    this.#epoch = state.epoch;
    this.#used = state.used;
  }

  #turn(): void {
    if (this.#used < this.#epochRows) return;
    this.#epoch++;
    this.#used = 0;
  }

  /** Follows from seed and epoch alone, so nothing of it needs saving. */
  #epochOrder(): Uint32Array {
    if (this.#order?.epoch !== this.#epoch) this.#order = { epoch: this.#epoch, rows: this.#drawOrder() };
    return this.#order.rows;
  }

  #drawOrder(): Uint32Array {
    const { rows } = this.#dataset;
    const random = new Random(this.#seed, this.#epoch);
    switch (this.#options.order) {
      case "in-order":
        return Uint32Array.from({ length: rows }, (_, row) => row);
      case "shuffled":
        return random.permutation(rows);
      case "by-length":
        return this.#groupByLength(random.permutation(rows), random);
      case "sampled":
        return Uint32Array.from({ length: this.#epochRows }, () => random.below(rows));
    }
  }

  /**
   * Sorts by length inside windows of a shuffled epoch and shuffles the batches that follow from it, so that little is
   * padded and the order stays random. A last batch that is not whole stays the last.
   */
  #groupByLength(shuffled: Uint32Array, random: Random): Uint32Array {
    const { lengthOf } = this.#dataset;
    const { together = 1 } = this.#options;
    const batch = this.#options.batch * together;
    if (lengthOf === undefined) return shuffled;
    const whole = Math.floor(shuffled.length / batch);
    const grouped = Uint32Array.from(shuffled);
    for (let start = 0; start < whole * batch; start += batch * windowBatches) {
      const window = shuffled.subarray(start, Math.min(start + batch * windowBatches, whole * batch));
      const lengths = new Map(Array.from(window, (row) => [row, lengthOf(row)]));
      grouped.set(
        window.toSorted((left, right) => (lengths.get(left) ?? 0) - (lengths.get(right) ?? 0)),
        start,
      );
    }
    const order = random.permutation(whole);
    const result = Uint32Array.from(grouped);
    order.forEach((from, to) => {
      result.set(grouped.subarray(from * batch, (from + 1) * batch), to * batch);
    });
    return result;
  }
}
