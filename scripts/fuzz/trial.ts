/** A trial of the fuzzer: where its model comes from, and the bytes of it. */
import { readFileSync } from "node:fs";
import { editAt } from "./edges.ts";
import { mutate } from "./mutate.ts";
import { randomProgram } from "./programs.ts";

/** One model to make and try: a damaged copy of a real file, or a random program where no file is given. */
export interface Trial {
  readonly file?: string;
  /** Says what is random, or which of the edits of a file is meant. */
  readonly seed: number;
  /** Whether the damage is one number set to an edge. */
  readonly edge?: boolean;
  /** Whether a file beside the model is damaged, and a verb run. */
  readonly verb?: boolean;
}

/** The bytes of a trial; the same each time. Undefined where the file has no more edits. */
export function bytesOf({ file, seed, edge = false }: Trial): Uint8Array | undefined {
  if (file === undefined) return randomProgram(seed);
  const bytes = Uint8Array.from(readFileSync(file));
  return edge ? editAt(bytes, seed) : mutate(bytes, seed);
}
