/** Writes an adapter as HF PEFT's `save_pretrained` does: configuration and tensors under PEFT's keys. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { BoundAdapter } from "../adapt/define.ts";
import { isSavedKey } from "../adapt/parameters.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { InternalError } from "../diagnostics/define.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { safetensorsDTypeOf } from "../formats/safetensors.ts";
import { writeSafetensors } from "../formats/safetensors-file.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { PeftFacts } from "./peft-facts.ts";
import { peftConfigText, peftFiles } from "./peft-folder.ts";

export interface PeftExport {
  readonly adapter: BoundAdapter;
  /** PEFT's `task_type`; undefined where PEFT has none for the task. */
  readonly taskType: string | undefined;
  /** Tensors of the adapter by key, be they ones that PEFT does not save. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** What follows from the modules of the model; absent for none. */
  readonly facts?: PeftFacts;
}

/** Version of PEFT whose layout the folder has. */
const peftVersion = "0.21.2";

/** Writes both files, each whole or not at all. @throws DiagnosticError `E_ADAPTER_UNPORTABLE`. */
export async function writePeftFolder(
  folder: string,
  { adapter, taskType, tensors, facts = { config: {}, aliases: {} } }: PeftExport,
): Promise<void> {
  if (adapter.unportable.toPeft !== undefined)
    throw adaptErrors.E_ADAPTER_UNPORTABLE(folder, adapter.name, adapter.unportable.toPeft);
  mkdirSync(folder, { recursive: true });
  const form = adapter.toPeft(tensors);
  const saved = [...form.tensors].filter(([key]) => isSavedKey(key));
  for (const [alias, key] of Object.entries(facts.aliases)) {
    const tensor = form.tensors.get(key);
    if (tensor !== undefined) saved.push([alias, tensor]);
  }
  const entries = saved.map(([name, tensor]) => {
    const dtype = safetensorsDTypeOf(tensor.dtype);
    if (dtype === undefined)
      throw new InternalError(`tensor "${name}" is ${tensor.dtype}, which no folder holds`);
    return { name, dtype, shape: tensor.dims, data: () => tensor.bytes() };
  });
  await writeSafetensors(join(folder, peftFiles.weights), entries, new Map([["format", "pt"]]));
  await writeFileAtomic(
    join(folder, peftFiles.config),
    peftConfigText({ ...adapter, options: form.options }, taskType, peftVersion, facts.config),
  );
}
