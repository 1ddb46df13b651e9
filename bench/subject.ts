/** What is measured: a small Llama of the fixtures, LoRA on its attention, and an artifact of it in a folder that goes at the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileGraphs } from "../src/compile/compile.ts";
import type { CompileRequest } from "../src/compile/request.ts";
import { writeArtifact } from "../src/compile/write-artifact.ts";
import type { Batch } from "../src/data/batch.ts";
import { Batches } from "../src/data/batches.ts";
import { readModel } from "../src/onnx/read.ts";
import { wantedFields } from "../src/runtime/graph-ports.ts";
import { openData } from "../src/runtime/open-data.ts";
import type { Trainer } from "../src/runtime/trainer.ts";

/** As both exporters of PyTorch write it. */
export const files = {
  stories260k: "fixtures/models/stories260k/model.onnx",
  "stories260k, dynamo": "fixtures/models/stories260k/model-dynamo.onnx",
} as const;

export const request: CompileRequest = {
  method: { name: "lora", options: { r: 8, target_modules: ["q_proj", "k_proj", "v_proj", "o_proj"] } },
};

export const batch = { rows: 8, seq: 256 };

/** Does something with the artifact of the first file. */
export async function withArtifact<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "peft-compile-bench-"));
  try {
    await writeArtifact(compileGraphs(readModel(files.stories260k), request), folder);
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function randomBatch(trainer: Trainer): Batch {
  const { dataset } = openData(trainer.artifact, { data: ["random"], axes: { seq: batch.seq } });
  const wanted = wantedFields(trainer.artifact.manifest);
  return new Batches(dataset, { batch: batch.rows, order: "in-order", wanted }).next();
}
