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
  /** Place in the data before the next batch; null where the data has none. */
  cursor: batchesStateSchema.nullable(),
  /** Names of the labels in the order of their ids; null where the task has none. */
  labelNames: z.array(z.string()).nullable().default(null),
  /** Length of the metrics file at this point, in bytes. */
  metricsBytes: z.int().nonnegative(),
});

/** What a run needs beside the state of the graphs to go on exactly. */
export type TrainingRecord = z.output<typeof recordSchema>;

/** A checkpoint on disk. */
export interface Checkpoint extends TrainingRecord {
  readonly folder: string;
  readonly stateFile: string;
}

const folderName = "checkpoints";
const files = { state: "state.safetensors", record: "trainer.json" } as const;
const unfinished = ".writing-";

/** Writes a checkpoint: into a folder of another name, flushed, then renamed; `latest` follows. */
export async function writeCheckpoint(
  artifact: string,
  record: TrainingRecord,
  saveState: (file: string) => Promise<void>,
): Promise<string> {
  const parent = join(artifact, folderName);
  mkdirSync(parent, { recursive: true });
  const name = `step-${record.step}`;
  const temporary = join(parent, `${unfinished}${name}-${process.pid}`);
  rmSync(temporary, { recursive: true, force: true });
  mkdirSync(temporary);
  await saveState(join(temporary, files.state));
  await writeFileAtomic(join(temporary, files.record), `${JSON.stringify(record, null, 2)}\n`);
  const target = join(parent, name);
  // A folder of this name is the same step of the same run, written before it was resumed.
  if (existsSync(target)) {
    const old = join(parent, `${unfinished}old-${name}-${process.pid}`);
    rmSync(old, { recursive: true, force: true });
    renameSync(target, old);
    renameSync(temporary, target);
    rmSync(old, { recursive: true, force: true });
  } else {
    renameSync(temporary, target);
  }
  await flushFolder(parent);
  await writeFileAtomic(join(artifact, "latest"), `${folderName}/${name}\n`);
  return target;
}

/**
 * The checkpoint of a given folder, or the newest whole one; undefined where there is none.
 *
 * @throws DiagnosticError `E_CHECKPOINT` for a given folder that holds none.
 */
export function latestCheckpoint(artifact: string, given?: string): Checkpoint | undefined {
  if (given !== undefined) {
    const folder = [resolve(given), join(artifact, given), join(artifact, folderName, given)].find((path) =>
      existsSync(join(path, files.record)),
    );
    if (folder === undefined)
      throw runtimeErrors.E_CHECKPOINT(given, "no such folder, or no trainer.json in it");
    return readCheckpoint(folder);
  }
  const pointer = join(artifact, "latest");
  const named = existsSync(pointer) ? join(artifact, readFileSync(pointer, "utf8").trim()) : undefined;
  if (named !== undefined && existsSync(join(named, files.record))) return readCheckpoint(named);
  // A process may have died between the two renames: the highest step is the newest.
  const parent = join(artifact, folderName);
  const steps = existsSync(parent) ? readdirSync(parent).flatMap((name) => stepOf(name) ?? []) : [];
  if (steps.length === 0) return undefined;
  return readCheckpoint(join(parent, `step-${Math.max(...steps)}`));
}

/** Removes what a process that died left half written. */
export function removeUnfinished(artifact: string): void {
  const parent = join(artifact, folderName);
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    if (name.startsWith(unfinished)) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/** Removes all but the newest `keep` checkpoints. */
export function pruneCheckpoints(artifact: string, keep: number): void {
  const parent = join(artifact, folderName);
  const steps = readdirSync(parent)
    .flatMap((name) => stepOf(name) ?? [])
    .sort((a, b) => b - a);
  for (const step of steps.slice(keep))
    rmSync(join(parent, `step-${step}`), { recursive: true, force: true });
}

function stepOf(name: string): number | undefined {
  const digits = /^step-(\d+)$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function readCheckpoint(folder: string): Checkpoint {
  const text = readFileSync(join(folder, files.record), "utf8");
  const parsed = recordSchema.safeParse(JSON.parse(text));
  if (!parsed.success) throw runtimeErrors.E_CHECKPOINT(folder, `${basename(files.record)} is not valid`);
  return { ...parsed.data, folder, stateFile: join(folder, files.state) };
}

async function flushFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r").catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
