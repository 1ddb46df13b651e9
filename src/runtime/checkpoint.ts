/** Checkpoints: folders that are whole or not there, and a file that names the newest. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { batchesStateSchema } from "../data/batches.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";

const recordSchema = z.strictObject({
  /** Updates done. */
  step: z.int().nonnegative(),
  seed: z.int(),
  totalSteps: z.int().nonnegative(),
  /** Examples of a batch, and what the data is recognised by; null where a program fed batches of its own. */
  batch: z.int().positive().nullable().default(null),
  data: z.string().nullable().default(null),
  /** Place in the data before the next batch; null where the data has none. */
  cursor: batchesStateSchema.nullable(),
  /** Names of the labels in the order of their ids; null where the task has none. */
  labelNames: z.array(z.string()).nullable().default(null),
  /** Length of the metrics file at this point, in bytes. */
  metricsBytes: z.int().nonnegative(),
  /** Whether these metrics hold the evaluation of this step. */
  evaluated: z.boolean().default(false),
  /** The evaluation with the smallest loss so far; null without one. */
  best: z.strictObject({ step: z.int().nonnegative(), loss: z.number() }).nullable().default(null),
});

/** What a run needs beside the state of the graphs to go on exactly. */
export type TrainingRecord = z.output<typeof recordSchema>;

/** A checkpoint on disk. */
export interface Checkpoint extends TrainingRecord {
  readonly folder: string;
  readonly stateFile: string;
}

const folderName = "checkpoints";
/** File of the metrics of a run, beside its checkpoints. */
export const metricsName = "metrics.jsonl";
const files = { state: "state.safetensors", record: "trainer.json" } as const;
/** Begins the names of folders that are being written. */
const unfinished = ".writing-";
/** Begins the name of a whole checkpoint that is just being replaced by another of the same step. */
const replaced = ".old-";

/**
 * Writes a checkpoint: into a folder of another name, flushed, then renamed; `latest` follows. The folder must be
 * locked.
 *
 * @returns the checkpoint's folder.
 */
export async function writeCheckpoint(
  artifact: string,
  record: z.input<typeof recordSchema>,
  saveState: (file: string) => Promise<void>,
): Promise<string> {
  const parent = join(artifact, folderName);
  mkdirSync(parent, { recursive: true });
  const name = `step-${record.step}`;
  const temporary = join(parent, `${unfinished}${name}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  await saveState(join(temporary, files.state));
  await updateRecord(temporary, record);
  const target = join(parent, name);
  const old = join(parent, `${replaced}${name}`);
  // The same step of a run that was resumed earlier or begun anew. Until the new one stands, readers find the old one.
  if (existsSync(target)) renameSync(target, old);
  renameSync(temporary, target);
  rmSync(old, { recursive: true, force: true });
  await flushFolder(parent);
  await writeFileAtomic(join(artifact, "latest"), `${folderName}/${name}\n`);
  return target;
}

/** Replaces the record of a checkpoint, whose state stays. */
export async function updateRecord(folder: string, record: z.input<typeof recordSchema>): Promise<void> {
  const text = JSON.stringify(recordSchema.parse(record), null, 2);
  await writeFileAtomic(join(folder, files.record), `${text}\n`);
}

/**
 * The checkpoint of a given folder, or the newest whole one; undefined where there is none.
 *
 * @throws DiagnosticError `E_CHECKPOINT` for a given folder that holds none.
 */
export function latestCheckpoint(artifact: string, given?: string): Checkpoint | undefined {
  if (given !== undefined) {
    const folder = [resolve(given), join(artifact, given), join(artifact, folderName, given)].find(isWhole);
    if (folder === undefined)
      throw runtimeErrors.E_CHECKPOINT(given, "no such folder, or no trainer.json in it");
    return readCheckpoint(folder);
  }
  const pointer = join(artifact, "latest");
  const named = existsSync(pointer) ? stepOf(basename(readFileSync(pointer, "utf8").trim())) : undefined;
  const newest = named === undefined ? undefined : findStep(artifact, named);
  if (newest !== undefined) return readCheckpoint(newest);
  // Someone removed what `latest` names, or that file itself: the highest step is taken.
  const steps = savedSteps(artifact);
  return steps.length === 0
    ? undefined
    : readCheckpoint(join(artifact, folderName, `step-${Math.max(...steps)}`));
}

/** Folder of the checkpoint of a step, also in the moment in which it is being replaced. */
function findStep(artifact: string, step: number): string | undefined {
  const parent = join(artifact, folderName);
  return [`step-${step}`, `${replaced}step-${step}`].map((name) => join(parent, name)).find(isWhole);
}

function isWhole(folder: string): boolean {
  return existsSync(join(folder, files.record));
}

/** Removes what a process that died left half written, and puts back what it had not replaced yet. */
export function removeUnfinished(artifact: string): void {
  const parent = join(artifact, folderName);
  for (const name of listNames(parent)) {
    const path = join(parent, name);
    const target = join(parent, name.slice(replaced.length));
    if (name.startsWith(replaced) && !existsSync(target)) renameSync(path, target);
    else if (name.startsWith(replaced) || name.startsWith(unfinished))
      rmSync(path, { recursive: true, force: true });
  }
  for (const name of listNames(artifact)) {
    if (/^\.latest\..*\.tmp$/.test(name)) rmSync(join(artifact, name), { force: true });
  }
}

/**
 * Moves the training that a folder holds into a new folder inside it, so that a run can begin anew without mixing with it
 * or losing it. Gives that folder; undefined where there was no training.
 */
export function setAsideTraining(artifact: string): string | undefined {
  const names = [metricsName, "latest", folderName].filter((name) => existsSync(join(artifact, name)));
  if (savedSteps(artifact).length === 0) return undefined;
  let count = 1;
  while (existsSync(join(artifact, `earlier-${count}`))) count++;
  const target = join(artifact, `earlier-${count}`);
  mkdirSync(target);
  for (const name of names) renameSync(join(artifact, name), join(target, name));
  return target;
}

/**
 * Removes all but the newest `keep` checkpoints of a run that has come to a step. Those of later steps are of an earlier
 * run and are left alone.
 */
export function pruneCheckpoints(artifact: string, keep: number, step: number): void {
  const steps = savedSteps(artifact)
    .filter((saved) => saved <= step)
    .sort((a, b) => b - a);
  for (const old of steps.slice(keep))
    rmSync(join(artifact, folderName, `step-${old}`), { recursive: true, force: true });
}

function savedSteps(artifact: string): number[] {
  return listNames(join(artifact, folderName)).flatMap((name) => stepOf(name) ?? []);
}

function listNames(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function stepOf(name: string): number | undefined {
  const digits = /^step-(\d+)$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function readCheckpoint(folder: string): Checkpoint {
  const parsed = recordSchema.safeParse(readJson(join(folder, files.record)));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw runtimeErrors.E_CHECKPOINT(
      folder,
      `${files.record} is not valid: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`,
    );
  }
  return { ...parsed.data, folder, stateFile: join(folder, files.state) };
}

/** Content of a JSON file; undefined, which no schema takes, where it is none. */
function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
