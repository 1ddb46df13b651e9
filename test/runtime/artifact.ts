/** Small artifacts of the fixture models for tests of the runtime, in folders that are removed after. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { writeArtifact } from "../../src/compile/write-artifact.ts";
import { readModel } from "../../src/onnx/read.ts";

const root = mkdtempSync(join(tmpdir(), "peft-compile-"));
let count = 0;

afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A fixture model by name, such as `oracles/models/llama/model.onnx`. */
function fixture(name: string): string {
  return resolve("fixtures", name);
}

/** A new empty place. */
function scratch(): string {
  count += 1;
  return join(root, String(count));
}

/** Compiles a model, LoRA of rank 2 on q_proj and v_proj unless asked otherwise, and gives the artifact's folder. */
export async function makeArtifact(
  request: CompileRequest = {},
  model = "oracles/models/llama/model.onnx",
): Promise<string> {
  const folder = scratch();
  const compiled = compileGraphs(readModel(fixture(model)), {
    method: { name: "lora", options: { r: 2, target_modules: ["q_proj", "v_proj"], lora_dropout: 0.1 } },
    optimizer: { name: "adamw", options: { lr: 5e-3 } },
    ...request,
  });
  await writeArtifact(compiled, folder);
  return folder;
}
