/** What `merge` and `export` have alike: opening the artifact, and saying which state it is in. */
import { Option } from "commander";
import { openTrained, type Trained } from "../compile/trained.ts";
import { Artifact } from "../runtime/artifact.ts";
import { plural } from "./numbers.ts";
import { usePlugIns } from "./plug-ins.ts";

/** `--checkpoint`, for every verb that reads trained state. */
export function checkpointOption(): Option {
  return new Option("--checkpoint <dir>", "checkpoint to take; the newest unless given");
}

/** Opens an artifact, with the method that its manifest names loaded first. @throws DiagnosticError. */
export async function openArtifact(folder: string, checkpoint: string | undefined): Promise<Trained> {
  const { use } = Artifact.open(folder).manifest.method;
  if (use !== undefined) await usePlugIns([use]);
  return openTrained(folder, checkpoint);
}

/** The state in words: how far it was trained. */
export function stateText({ step }: Trained): string {
  return step === undefined ? "not trained: these are the starting values" : `after ${plural(step, "step")}`;
}
