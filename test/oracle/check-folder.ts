/** The adapter folder that we write of an untouched case against the one that PEFT wrote: bytes of tensors, every field. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { checkpointTensors } from "../../src/compile/checkpoint-tensors.ts";
import { writePeftFolder } from "../../src/compile/export-peft.ts";
import { peftFacts } from "../../src/compile/peft-facts.ts";
import { peftFiles } from "../../src/compile/peft-folder.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { SafetensorsFile } from "../../src/formats/safetensors-file.ts";
import { peftTaskTypes } from "../../src/training/tasks.ts";
import { expectClose, tolerances } from "./close.ts";
import type { CompiledCase } from "./compile-case.ts";
import { type OracleCase, readArrays } from "./oracle-set.ts";

/** Copies that PEFT adds of what the base model has, or the folder itself under another name: we write none of them. */
const copy = /\.base_layer\.weight$|\.modules_to_save\.|\.original_module\./;

export async function checkFolder(
  item: OracleCase,
  { compiled, peft, adjusted }: CompiledCase,
): Promise<void> {
  const { plan, state } = compiled;
  if (plan.adapter.unportable.toPeft !== undefined) return;
  const tensors = new Map([...state.tensors].filter(([key]) => !key.includes("/")));
  const form = plan.adapter.toPeft(tensors);
  const reformed = form.tensors !== tensors;
  // What is written under other options, as plain LoRA, is no copy of the case's folder.
  if (reformed && !isDeepStrictEqual(form.options, plan.adapter.options)) return;
  const folder = mkdtempSync(join(tmpdir(), "peft-case-"));
  try {
    await writePeftFolder(folder, {
      adapter: plan.adapter,
      taskType: peft.taskType === null ? undefined : peftTaskTypes[plan.task],
      tensors: await checkpointTensors(plan.adapter, tensors, runConstantGraph),
      facts: peftFacts(plan.adapter, plan.sites, tensors),
    });
    checkTensors(
      join(folder, peftFiles.weights),
      join(item.adapterFolder, peftFiles.weights),
      reformed || plan.adapter.structure !== undefined,
    );
    const ours = readConfig(join(folder, peftFiles.config));
    const theirs = readConfig(join(item.adapterFolder, peftFiles.config));
    expect({ ...ours, ...left(theirs) }).toEqual({
      ...theirs,
      ...adjusted,
      ...left(theirs),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param computed whether values come from a graph and are close, not equal. */
function checkTensors(ours: string, theirs: string, computed: boolean): void {
  const [own, peft] = [SafetensorsFile.open(ours), SafetensorsFile.open(theirs)];
  const wanted = peft.names.filter((name) => !copy.test(name));
  expect(own.names).toEqual(wanted);
  if (computed) {
    const [made, given] = [readArrays(ours), readArrays(theirs)];
    for (const name of wanted) expectClose(name, made.get(name), given.get(name), tolerances.exact);
    return;
  }
  if (wanted.length === peft.names.length) {
    expect(readFileSync(ours).equals(readFileSync(theirs))).toBe(true);
    return;
  }
  for (const name of wanted) expect(Buffer.from(own.bytes(name)).equals(peft.bytes(name))).toBe(true);
}

/** Fields that say where a base model came from, which an ONNX file does not know. */
function left(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { auto_mapping, base_model_name_or_path, revision } = config;
  return { auto_mapping, base_model_name_or_path, revision };
}

/** Lists as sets: PEFT writes them in the order of Python's hashes, and adds the names of heads more than once. */
function readConfig(file: string): Record<string, unknown> {
  const config: object = JSON.parse(readFileSync(file, "utf8"));
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [
      name,
      Array.isArray(value) ? [...new Set(value)].sort() : value,
    ]),
  );
}
