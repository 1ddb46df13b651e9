/** The metrics of a run as JSON lines, which go on where a checkpoint left them as if the run had never been broken off. */
import { closeSync, existsSync, fsyncSync, openSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";

export class MetricsLog {
  readonly #file: string;
  #bytes: number;

  /** Opens the file and drops what lies behind `position`, which a run wrote that was broken off later. */
  constructor(file: string, position: number) {
    this.#file = file;
    const size = existsSync(file) ? statSync(file).size : 0;
    this.#bytes = Math.min(position, size);
    if (size === 0) writeFileSync(file, "");
    else truncateSync(file, this.#bytes);
  }

  /** Length in bytes. */
  get position(): number {
    return this.#bytes;
  }

  async append(record: Readonly<Record<string, number | boolean>>): Promise<void> {
    const line = `${JSON.stringify(record)}\n`;
    await appendFile(this.#file, line);
    this.#bytes += Buffer.byteLength(line);
  }

  /** Puts everything on disk, so that no checkpoint names a position that a power failure would undo. */
  flush(): void {
    const descriptor = openSync(this.#file, "r+");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}
