/** Random examples for any graph: ids below their table's rows, masks of ones, labels in range. */
import { axisSize } from "../artifact/axis-size.ts";
import type { InputPort, Manifest } from "../artifact/manifest.ts";
import type { Batch, Dataset, Field, FieldRequest } from "../data/batch.ts";
import { castField } from "../data/batch.ts";
import { Random } from "../data/random.ts";
import { InternalError } from "../diagnostics/define.ts";

export interface RandomOptions {
  readonly seed: number;
  /** Sizes of named axes; others get a small default. */
  readonly axes: Readonly<Record<string, number>>;
}

/** Length of axes that nothing is said of: sequences, images, channels. */
const usualSize = 16;

/** Examples that are each the same whatever batch they come in. */
export class RandomRows implements Dataset {
  readonly rows = 1024;
  readonly fields: readonly string[];
  readonly #ports: ReadonlyMap<string, InputPort>;
  readonly #options: RandomOptions;
  readonly #labels: number;
  /** Names of first axes. */
  readonly #counted: ReadonlySet<string>;

  constructor({ graphs, task }: Manifest, options: RandomOptions) {
    // The evaluation graph is never stacked, unlike a training graph of several steps.
    const ports = graphs.eval.inputs.filter(({ role }) => role === "batch" || role === "label");
    this.#ports = new Map(ports.map((port) => [port.field ?? port.name, port]));
    this.fields = [...this.#ports.keys()];
    this.#counted = new Set(
      ports.flatMap(({ shape: [first] }) => (typeof first === "string" ? [first] : [])),
    );
    this.#options = options;
    this.#labels = task.numLabels ?? 2;
  }

  collate(rows: ArrayLike<number>, wanted: readonly FieldRequest[]): Batch {
    return Object.fromEntries(
      wanted.map(({ name, dtype }) => [name, castField(name, this.#field(name, rows), dtype)]),
    );
  }

  #field(name: string, rows: ArrayLike<number>): Field {
    const port = this.#ports.get(name);
    if (port === undefined) throw new InternalError(`no input reads the field "${name}"`);
    const [count = rows.length, ...inner] = port.shape.map((dim) => this.#size(dim, rows.length));
    const perRow = inner.reduce((product, dim) => product * dim, 1);
    const isFloat = port.dtype.startsWith("float") || port.dtype === "bfloat16";
    const data = isFloat ? new Float32Array(perRow * count) : new Int32Array(perRow * count);
    for (let i = 0; i < count; i++) {
      const random = new Random(this.#options.seed, streamOf(name, rows[i] ?? i));
      for (let j = 0; j < perRow; j++) data[i * perRow + j] = this.#draw(port, random, isFloat);
    }
    return { dtype: isFloat ? "float32" : "int32", shape: [count, ...inner], data };
  }

  /** Of an axis as the manifest has it; axes by which some input counts its rows are as long as the batch. */
  #size(dim: number | string, rows: number): number {
    if (typeof dim === "number") return dim;
    const { axes } = this.#options;
    const sizeOf = (name: string): number =>
      this.#counted.has(name) ? rows : (axes[name] ?? axes.seq ?? usualSize);
    return axisSize(dim, sizeOf) ?? sizeOf(dim);
  }

  #draw({ role, name, below }: InputPort, random: Random, isFloat: boolean): number {
    if (role === "label") return isFloat ? random.uniform() : random.below(this.#labels);
    if (isFloat) return random.normal();
    return /mask/.test(name) ? 1 : random.below(below ?? 2);
  }
}

/** A stream of its own for every field of every row. */
function streamOf(name: string, row: number): number {
  let hash = row + 1;
  for (const character of name) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) >>> 0;
  return hash;
}
