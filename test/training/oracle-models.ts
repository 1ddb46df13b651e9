/** Models of the oracle set, compiled with the LoRA that PEFT saved for them, and their first batch. */
import { join } from "node:path";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { readModel } from "../../src/onnx/read.ts";
import type { Batch } from "../oracle/graph-session.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";

/** Path of an exported file: the tracing exporter's, unfolded where that folds a norm into a convolution. */
export function modelFile(model: string): string {
  const name = model === "smallconv" ? "model-unfolded.onnx" : "model.onnx";
  return join(oracleRoot, "models", model, name);
}

/** Compiles a model with the adapter of its case `lora`, whose tensors are all away from zero. */
export function compileModel(model: string, request: CompileRequest = {}): Compiled {
  const { method, options, file, tensors } = readPeftFolder(join(oracleRoot, "cases", model, "lora"));
  return compileGraphs(
    readModel(modelFile(model)),
    { method: { name: method, options: { ...options } }, modulesToSave: [], ...request },
    { adapter: { file, tensors } },
  );
}

/** Fields of the set's first batch. */
export function firstBatch(model: string): Batch {
  const arrays = readArrays(join(oracleRoot, "models", model, "io.safetensors"));
  const prefix = "batch0.";
  return new Map(
    [...arrays].flatMap(([key, array]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), array] as const] : [],
    ),
  );
}
