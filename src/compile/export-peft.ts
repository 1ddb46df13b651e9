/** Writes an adapter as HF PEFT's `save_pretrained` does: configuration and tensors under PEFT's keys. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { BoundAdapter } from "../adapt/define.ts";
import { isSavedKey } from "../adapt/parameters.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { writeSafetensors } from "../formats/safetensors-file.ts";
import type { Tensor } from "../ir/tensor.ts";
import { peftConfigText, peftFiles } from "./peft-folder.ts";

export interface PeftExport {
  readonly adapter: BoundAdapter;
  /** PEFT's `task_type`; undefined where PEFT has none for the task. */
  readonly taskType: string | undefined;
  /** Tensors of the adapter by key, float32 or int32; those that PEFT does not save are left out. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Version of PEFT whose layout the folder has. */
const peftVersion = "0.21.2";

/** Writes both files, each whole or not at all. */
export async function writePeftFolder(
  folder: string,
  { adapter, taskType, tensors }: PeftExport,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const saved = [...tensors].filter(([key]) => isSavedKey(key));
  const entries = saved.map(([name, tensor]) => ({
    name,
    dtype: tensor.dtype === "int32" ? ("I32" as const) : ("F32" as const),
    shape: tensor.dims,
    data: () => tensor.bytes(),
  }));
  await writeSafetensors(join(folder, peftFiles.weights), entries, new Map([["format", "pt"]]));
  await writeFileAtomic(join(folder, peftFiles.config), peftConfigText(adapter, taskType, peftVersion));
}
