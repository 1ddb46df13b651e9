/** Trains an oracle case for a few steps and writes what `export --format peft` would, with our logits for it. */
import { join } from "node:path";
import { checkpointTensors } from "../../src/compile/checkpoint-tensors.ts";
import type { Compiled } from "../../src/compile/compile.ts";
import { writePeftFolder } from "../../src/compile/export-peft.ts";
import { peftFacts } from "../../src/compile/peft-facts.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { SafetensorsFile, writeSafetensors } from "../../src/formats/safetensors-file.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { type NDArray, toTensor } from "../../src/ops/ndarray.ts";
import { peftTaskTypes } from "../../src/training/tasks.ts";
import { combinationsOf, logitsOfAdapter } from "../oracle/check-several.ts";
import { compileCase } from "../oracle/compile-case.ts";
import { type Batch, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { type OracleCase, oracleRoot, readArrays } from "../oracle/oracle-set.ts";
import { batchOf, trainCase, trainedArrays } from "../oracle/trajectory.ts";

/** Batches that are trained on: enough for every tensor to move. */
const batches = 4;

/** What the check in Python needs to know of a written folder. */
export interface WrittenCase {
  readonly name: string;
  readonly method: string;
  readonly model: string;
  readonly adapter: string;
  /** Our logits for batch0, and the fields of that batch that the model's own file lacks. */
  readonly logits: string;
  /** Whether PEFT needs the labels in place of the decoder's inputs. */
  readonly labels: boolean;
  /** Folders by name, and the name for each row, where several adapters are in one model. */
  readonly adapters?: Readonly<Record<string, string>>;
  readonly rows?: readonly string[];
  /** Why PEFT's logits are expected to be others. */
  readonly defect?: string;
}

/** @throws DiagnosticError `E_ADAPTER_UNPORTABLE`. */
export async function writeCase(item: OracleCase, folder: string): Promise<WrittenCase> {
  const { compiled, record, full, peft } = compileCase(item);
  const io = readArrays(join(oracleRoot, "models", item.model, "io.safetensors"));
  const tensors = new Map([...compiled.state.tensors].filter(([key]) => !key.includes("/")));
  if (record !== undefined) {
    const short = { ...record, batches: record.batches.slice(0, batches) };
    const { state } = await trainCase(compiled, io, short, item);
    for (const [key, array] of trainedArrays(compiled, state)) tensors.set(key, toTensor(array, key));
  }
  const { plan } = compiled;
  await writePeftFolder(folder, {
    adapter: plan.adapter,
    facts: peftFacts(plan.adapter, plan.sites, tensors, plan.followers),
    taskType: peft.taskType === null ? undefined : peftTaskTypes[plan.task],
    tensors: await checkpointTensors(plan.adapter, tensors, runConstantGraph),
  });
  // Training in 16 bits has a forward pass in 16 bits; PEFT is asked in float32.
  const exact = full ? compiled : compileCase(item, { precision: "fp32" }).compiled;
  const logits = join(folder, "logits.safetensors");
  const array = await logitsOf(exact, batchOf(io, "batch0"), tensors);
  await writeSafetensors(logits, [
    { name: "logits", dtype: "F32", shape: array.shape, data: toTensor(array).bytes() },
    ...furtherFields(join(item.folder, "expected.safetensors")),
  ]);
  return {
    name: `${item.model}/${item.name} ${item.exported}`,
    method: plan.adapter.name,
    model: join(oracleRoot, "models", item.model),
    adapter: folder,
    logits,
    labels: plan.task === "seq2seq-lm" && plan.adapter.structure !== undefined,
    ...defectOf(item),
  };
}

/** Cases in which PEFT does not compute what it merges; docs/peft-differences.md has the proof. */
const defects: Readonly<Record<string, string>> = {
  "vit/oft": "PEFT's activation path rotates overlapping windows of a convolution",
  "smallconv/oft": "PEFT's activation path rotates overlapping windows of a convolution",
};

function defectOf({ model, name }: OracleCase): { defect?: string } {
  const defect = defects[`${model}/${name}`];
  return defect === undefined ? {} : { defect };
}

/** What we make of the two adapters of a case, by each type, as folders. */
export async function writeCombinations(item: OracleCase, folder: string): Promise<WrittenCase[]> {
  const written: WrittenCase[] = [];
  for (const { name, made } of combinationsOf(item)) {
    const adapter = join(folder, name);
    await made.write(adapter);
    const logits = join(adapter, "logits.safetensors");
    const array = await logitsOfAdapter(item, name, made);
    await writeSafetensors(logits, [
      { name: "logits", dtype: "F32", shape: array.shape, data: toTensor(array).bytes() },
    ]);
    written.push({
      name: `${item.model}/${item.name} ${name} ${item.exported}`,
      method: `${made.method} combined`,
      model: join(oracleRoot, "models", item.model),
      adapter,
      logits,
      labels: false,
    });
  }
  return written;
}

async function logitsOf(
  compiled: Compiled,
  batch: Batch,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<NDArray> {
  const session = await GraphSession.open(compiled.graphs.eval);
  try {
    const trained = { ...compiled, state: { ...compiled.state, tensors: new Map(tensors) } };
    return resultOf(await session.run(batch, startingState(trained, "eval")), "logits");
  } finally {
    await session.close();
  }
}

/** Fields of batch0 that only some methods read, such as the task of each row. */
function furtherFields(
  file: string,
): { name: string; dtype: "I64"; shape: readonly number[]; data: Uint8Array }[] {
  const opened = SafetensorsFile.open(file);
  return opened.names
    .filter((name) => name.startsWith("input.") && opened.entry(name).dtype === "I64")
    .map((name) => ({ name, dtype: "I64", shape: opened.entry(name).shape, data: opened.bytes(name) }));
}
