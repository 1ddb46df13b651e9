/** Ready-made arrays from files: safetensors and npz by the names in them, npy by the name of the file. */
import { basename } from "node:path";
import { dataErrors } from "../diagnostics/data.ts";
import { type ElementArray, viewElements, zeroElements } from "../formats/element-type.ts";
import { decodeNpy } from "../formats/npy.ts";
import { NpzReader } from "../formats/npz.ts";
import { readBytes } from "../formats/read-file.ts";
import { elementTypeOf } from "../formats/safetensors.ts";
import { SafetensorsFile } from "../formats/safetensors-file.ts";
import { assembleBatch, type Batch, type Dataset, type Field, type FieldRequest } from "./batch.ts";

/** Whether the file holds arrays, to go by its name. */
export function isArrayFile(path: string): boolean {
  return readerOf(path) !== undefined;
}

type ArrayReader = (path: string) => Iterable<readonly [name: string, field: Field]>;

const readers: Readonly<Record<string, ArrayReader>> = {
  ".safetensors": function* (path) {
    const file = SafetensorsFile.open(path);
    for (const name of file.names) {
      const { dtype, shape } = file.entry(name);
      const type = elementTypeOf(dtype);
      yield [name, { dtype: type, shape, data: viewElements(type, file.bytes(name)) }];
    }
  },
  ".npz": function* (path) {
    const archive = new NpzReader(readBytes(path), path);
    for (const name of archive.names) yield [name, archive.array(name)];
  },
  ".npy": (path) => [[basename(path).slice(0, -".npy".length), decodeNpy(readBytes(path), path)]],
};

function readerOf(path: string): ArrayReader | undefined {
  const extension = Object.keys(readers).find((candidate) => path.toLowerCase().endsWith(candidate));
  return readers[extension ?? ""];
}

/** Arrays whose first axis is the examples. */
export class ArrayRows implements Dataset {
  readonly rows: number;
  readonly fields: readonly string[];
  readonly #arrays: ReadonlyMap<string, Field>;
  readonly #source: string;

  /**
   * @param source Name of the data for messages.
   * @throws DiagnosticError `E_ARRAY_ROWS` when the first axes differ.
   */
  constructor(arrays: ReadonlyMap<string, Field>, source: string) {
    const [first] = arrays;
    for (const [name, { shape }] of arrays) {
      const expected = first?.[1].shape[0];
      if (shape[0] === undefined || shape[0] !== expected) {
        throw dataErrors.E_ARRAY_ROWS(name, shape[0], first?.[0] ?? name, expected);
      }
    }
    this.rows = first?.[1].shape[0] ?? 0;
    this.fields = [...arrays.keys()];
    this.#arrays = arrays;
    this.#source = source;
  }

  /**
   * Reads files whole.
   *
   * @throws DiagnosticError `E_ARRAY_FORMAT`, `E_ARRAY_TWICE`, `E_ARRAY_ROWS`, or what a file's format finds wrong.
   */
  static open(paths: readonly string[]): ArrayRows {
    const arrays = new Map<string, Field>();
    const origins = new Map<string, string>();
    for (const path of paths) {
      const read = readerOf(path);
      if (read === undefined) throw dataErrors.E_ARRAY_FORMAT(path);
      for (const [name, field] of read(path)) {
        const other = origins.get(name);
        if (other !== undefined) throw dataErrors.E_ARRAY_TWICE(name, path, other);
        arrays.set(name, field);
        origins.set(name, path);
      }
    }
    return new ArrayRows(arrays, paths.join(", "));
  }

  collate(rows: ArrayLike<number>, wanted: readonly FieldRequest[]): Batch {
    const makers = new Map([...this.#arrays].map(([name, field]) => [name, () => gatherRows(field, rows)]));
    return assembleBatch(this.#source, makers, wanted);
  }
}

function gatherRows({ dtype, shape, data }: Field, rows: ArrayLike<number>): Field {
  const width = shape.slice(1).reduce((product, dim) => product * dim, 1);
  const gathered = zeroElements(dtype, rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    const start = (rows[i] ?? 0) * width;
    copyElements(gathered, data.subarray(start, start + width), i * width);
  }
  return { dtype, shape: [rows.length, ...shape.slice(1)], data: gathered };
}

/** Copies by bytes, since both arrays are of one type that the type checker cannot know. */
function copyElements(to: ElementArray, from: ElementArray, at: number): void {
  const target = new Uint8Array(to.buffer, to.byteOffset, to.byteLength);
  target.set(new Uint8Array(from.buffer, from.byteOffset, from.byteLength), at * to.BYTES_PER_ELEMENT);
}
