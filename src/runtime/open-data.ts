/** Opens the data that a run reads: text, tables or arrays from files, by the artifact's task; or random numbers. */
import { existsSync } from "node:fs";
import { basename, extname, join } from "node:path";
import type { Manifest } from "../artifact/manifest.ts";
import { ArrayRows, isArrayFile } from "../data/arrays.ts";
import type { Dataset } from "../data/batch.ts";
import { encodeCorpus, TokenWindows } from "../data/causal-text.ts";
import { chooseLabelColumn, chooseTextColumns } from "../data/columns.ts";
import {
  classLabels,
  labelNames,
  multiLabelNames,
  multiLabels,
  numberLabels,
  type RowLabels,
} from "../data/labels.ts";
import { readText } from "../data/read-text.ts";
import { readTable, type Table } from "../data/table.ts";
import { TextRows } from "../data/text-rows.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import type { Artifact } from "./artifact.ts";
import { RandomRows } from "./random-rows.ts";

/** What the user says of the data. */
export interface DataOptions {
  /** Files, or the word `random`. */
  readonly data: readonly string[];
  /** tokenizer.json; beside the model unless given. */
  readonly tokenizer?: string | undefined;
  readonly textColumn?: string | undefined;
  readonly pairColumn?: string | undefined;
  readonly labelColumn?: string | undefined;
  readonly header?: boolean | undefined;
  /** Longest input in tokens; for plain text the length of a window. */
  readonly maxLength?: number | undefined;
  /** Names of labels in the order of their ids, where they are known from the training data. */
  readonly labelNames?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  /** Sizes of named axes of random data. */
  readonly axes?: Readonly<Record<string, number>> | undefined;
}

/** Data with what is worth telling of it. */
export interface OpenedData {
  readonly dataset: Dataset;
  readonly labelNames: readonly string[] | undefined;
  /** Inputs that were longer than the limit, among those used so far. */
  readonly cutRows: () => number;
}

/** Tokens of a window where nothing says how long inputs may be. */
const usualLength = 256;

/**
 * Opens data for training or evaluation.
 *
 * @throws DiagnosticError `E_DATA_*`, `E_TOKENIZER`, and what the readers of the formats throw.
 */
export function openData(artifact: Artifact, options: DataOptions): OpenedData {
  const [first = ""] = options.data;
  if (first === "random") {
    const dataset = new RandomRows(artifact.manifest, { seed: options.seed ?? 0, axes: options.axes ?? {} });
    return plain(dataset);
  }
  return openFiles(artifact, options);
}

/** What data in files are read for: the task, and where the model lies. */
export interface DataTarget {
  readonly manifest: { readonly task: Manifest["task"] };
  readonly weightsFolder: string;
}

/**
 * Opens files for a model that need not be compiled yet.
 *
 * @throws DiagnosticError as {@link openData}.
 */
export function openFiles(artifact: DataTarget, options: DataOptions): OpenedData {
  const [first = ""] = options.data;
  if (options.data.every(isArrayFile)) return plain(ArrayRows.open(options.data));
  const tokenizer = Tokenizer.open(tokenizerFile(artifact, options.tokenizer));
  const limit = lengthLimit(artifact, options.maxLength, tokenizer);
  if (
    extname(first) === ".txt" &&
    options.textColumn === undefined &&
    artifact.manifest.task.name === "causal-lm"
  ) {
    return openCorpus(options.data, tokenizer, limit ?? usualLength);
  }
  const table = readTable(first, options.header === undefined ? {} : { header: options.header });
  return openTable(artifact.manifest, table, tokenizer, limit, options);
}

function plain(dataset: Dataset): OpenedData {
  return { dataset, labelNames: undefined, cutRows: () => 0 };
}

/** Windows of one length that cover the text once an epoch. */
function openCorpus(files: readonly string[], tokenizer: Tokenizer, length: number): OpenedData {
  const ids = encodeCorpus(tokenizer, files.map((file) => readText(file)).join("\n"));
  const source = files.map((file) => basename(file)).join(", ");
  return plain(new TokenWindows(ids, { length: Math.min(length, ids.length), source }));
}

function openTable(
  { task }: DataTarget["manifest"],
  table: Table,
  tokenizer: Tokenizer,
  maxLength: number | undefined,
  options: DataOptions,
): OpenedData {
  const { text, pair } = chooseTextColumns(table, {
    ...(options.textColumn === undefined ? {} : { text: options.textColumn }),
    ...(options.pairColumn === undefined ? {} : { pair: options.pairColumn }),
  });
  const { labels, names } = tableLabels(task, table, options);
  const rows = new TextRows({
    tokenizer,
    text,
    labels,
    ...(pair === undefined ? {} : { pair }),
    ...(maxLength === undefined ? {} : { maxLength }),
  });
  return { dataset: rows, labelNames: names, cutRows: () => rows.cutRows };
}

function tableLabels(
  task: Manifest["task"],
  table: Table,
  { labelColumn, labelNames: known }: DataOptions,
): { labels: RowLabels | "next-token"; names: readonly string[] | undefined } {
  if (task.name === "causal-lm") return { labels: "next-token", names: undefined };
  const column = chooseLabelColumn(table, labelColumn);
  const count = task.numLabels === undefined ? {} : { count: task.numLabels };
  if (task.name === "regression") return { labels: numberLabels(column), names: undefined };
  if (task.name === "multi-label") {
    const names = known ?? multiLabelNames(column, count);
    return { labels: multiLabels(column, names), names };
  }
  const names = known ?? labelNames(column, count);
  return { labels: classLabels(column, names), names };
}

function tokenizerFile(artifact: DataTarget, given: string | undefined): string {
  if (given !== undefined) return given;
  const beside = join(artifact.weightsFolder, "tokenizer.json");
  if (!existsSync(beside)) throw runtimeErrors.E_NO_TOKENIZER(beside);
  return beside;
}

/** The shortest of what the user, the tokenizer and the position table say. */
function lengthLimit(
  artifact: DataTarget,
  given: number | undefined,
  tokenizer: Tokenizer,
): number | undefined {
  const limits = [given, tokenizer.modelMaxLength, artifact.manifest.task.maxPositions].filter(
    (limit) => limit !== undefined,
  );
  return limits.length === 0 ? undefined : Math.min(...limits);
}
