/** Random examples for any graph: ids below their table's rows, masks of ones, labels in range. */
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

  constructor({ graphs, task }: Manifest, options: RandomOptions) {
    // The evaluation graph is never stacked, unlike a training graph of several steps.
    const ports = graphs.eval.inputs.filter(({ role }) => role === "batch" || role === "label");
    this.#ports = new Map(ports.map((port) => [port.field ?? port.name, port]));
    this.fields = [...this.#ports.keys()];
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
    const [, ...inner] = port.shape;
    const shape = inner.map((dim) => (typeof dim === "number" ? dim : this.#axis(dim)));
    const perRow = shape.reduce((product, dim) => product * dim, 1);
    const isFloat = port.dtype.startsWith("float");
    const data = isFloat ? new Float32Array(perRow * rows.length) : new Int32Array(perRow * rows.length);
    for (let i = 0; i < rows.length; i++) {
      const random = new Random(this.#options.seed, streamOf(name, rows[i] ?? 0));
      for (let j = 0; j < perRow; j++) data[i * perRow + j] = this.#draw(port, random, isFloat);
    }
    return { dtype: isFloat ? "float32" : "int32", shape: [rows.length, ...shape], data };
  }

  #axis(name: string): number {
    return this.#options.axes[name] ?? this.#options.axes.seq ?? usualSize;
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
