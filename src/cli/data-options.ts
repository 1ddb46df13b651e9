/** Options of the verbs that read data. */
import type { Command } from "commander";
import type { DataOptions } from "../runtime/open-data.ts";
import { wholeNumber } from "./options.ts";

/** Values of the options that {@link addDataOptions} adds. */
export interface DataFlags {
  readonly tokenizer?: string;
  readonly textColumn?: string;
  readonly pairColumn?: string;
  readonly labelColumn?: string;
  readonly header?: boolean;
  readonly maxLength?: number;
  readonly batch: number;
  readonly seq?: number;
  readonly seed: number;
}

/** Adds them under a title of their own. */
export function addDataOptions(command: Command, batch: number): Command {
  return command
    .optionsGroup("Data:")
    .option("--tokenizer <file>", "tokenizer.json; that beside the model unless given")
    .option("--text-column <name>", "column with the text, by name or number")
    .option("--pair-column <name>", "column with a second text")
    .option("--label-column <name>", "column with the label")
    .option("--no-header", "the table's first line is data; columns are then numbered from 0")
    .option("--max-length <n>", "longest input in tokens; for plain text, tokens of a window", wholeNumber(1))
    .option("--batch <n>", "examples of a batch", wholeNumber(1), batch)
    .option("--seq <n>", "length of named axes of random data", wholeNumber(1))
    .option("--seed <n>", "seed of order, dropout and random data", wholeNumber(0), 0);
}

/** What the flags say of one data set. */
export function dataOptions(files: readonly string[], flags: DataFlags): DataOptions {
  const { tokenizer, textColumn, pairColumn, labelColumn, header, maxLength, seq, seed } = flags;
  return {
    data: files,
    tokenizer,
    textColumn,
    pairColumn,
    labelColumn,
    header,
    maxLength,
    seed,
    axes: seq === undefined ? {} : { seq },
  };
}
