/** Whether a run can go on exactly: only with the data, seed and length that its checkpoint was written with. */
import type { Schedule } from "../artifact/manifest.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import type { TrainingRecord } from "./checkpoint.ts";

/** What the run that is to go on has. */
export type RunFacts = Pick<TrainingRecord, "seed" | "totalSteps"> & {
  readonly batch: number;
  readonly data: string;
};

/** @throws DiagnosticError `E_RESUME` naming what differs. */
export function checkResume(from: TrainingRecord, now: RunFacts, schedule: Schedule): void {
  const refuse = (what: string, before: number | string, after: number | string): Error =>
    runtimeErrors.E_RESUME(what, String(before), String(after));
  if (from.seed !== now.seed) throw refuse("the seed", from.seed, now.seed);
  // A rate that does not depend on the length lets a run be made longer, or shorter, at any time.
  const dependsOnLength = schedule.kind !== "constant" && schedule.total === undefined;
  if (dependsOnLength && from.totalSteps !== now.totalSteps)
    throw refuse("the number of steps", from.totalSteps, now.totalSteps);
  if (from.batch !== null && from.batch !== now.batch)
    throw refuse("the size of batches", from.batch, now.batch);
  if (from.data !== null && from.data !== now.data)
    throw refuse("the data, or how it is read,", "the data of before", "other data");
}
