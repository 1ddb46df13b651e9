/** A trial of the fuzzer: where its model comes from, and the bytes of it. */
import { readFileSync } from "node:fs";
import { mutate } from "./mutate.ts";
import { randomProgram } from "./programs.ts";

/** One model to make and try: a damaged copy of a real file, or a random program where no file is given. */
export interface Trial {
  readonly file?: string;
  readonly seed: number;
}

/** The bytes of a trial; the same each time. */
export function bytesOf({ file, seed }: Trial): Uint8Array {
  return file === undefined ? randomProgram(seed) : mutate(Uint8Array.from(readFileSync(file)), seed);
}
