/** Archives of named arrays as `numpy.savez` and `numpy.savez_compressed` write them. */
import { formatErrors } from "../diagnostics/formats.ts";
import { decodeNpy, type NpyArray } from "./npy.ts";
import { readZip } from "./zip.ts";

/** The arrays of an archive by name; each is unpacked when it is asked for. */
export class NpzReader {
  readonly place: string;
  readonly #entries: ReadonlyMap<string, () => Uint8Array>;

  /**
   * @param archive The whole file.
   * @param place Name of the file for messages.
   * @throws DiagnosticError `E_ZIP`.
   */
  constructor(archive: Uint8Array, place = "npz data") {
    this.place = place;
    const arrays = readZip(archive, place).filter(({ name }) => name.endsWith(".npy"));
    this.#entries = new Map(arrays.map(({ name, bytes }) => [name.slice(0, -".npy".length), bytes]));
  }

  /** Names of the arrays, in the order of the archive. */
  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** @throws DiagnosticError `E_NPZ_MISSING`, `E_ZIP`, `E_NPY_HEADER` or `E_NPY_DTYPE`. */
  array(name: string): NpyArray {
    const bytes = this.#entries.get(name);
    if (bytes === undefined) throw formatErrors.E_NPZ_MISSING(this.place, name, this.names);
    return decodeNpy(bytes(), `${this.place}: ${name}`);
  }
}
