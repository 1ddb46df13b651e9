/** The adapter folder that we write of an untouched case against the one that PEFT wrote: bytes of tensors, every field. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { basePath } from "../../src/adapt/select.ts";
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
  const facts = peftFacts(plan.adapter, plan.sites, tensors, plan.followers);
  const changed = Object.entries(form.options).filter(
    ([name, value]) => value !== plan.adapter.options[name],
  );
  const folder = mkdtempSync(join(tmpdir(), "peft-case-"));
  try {
    await writePeftFolder(folder, {
      adapter: plan.adapter,
      taskType: peft.taskType === null ? undefined : peftTaskTypes[plan.task],
      tensors: await checkpointTensors(plan.adapter, tensors, runConstantGraph),
      facts,
    });
    checkTensors(join(folder, peftFiles.weights), join(item.adapterFolder, peftFiles.weights), {
      computed: reformed || plan.adapter.structure !== undefined,
      aliases: facts.aliases,
    });
    const outputs = [...plan.sites, ...plan.followers].filter((site) => "tiedTo" in site).map(basePath);
    const theirs = readConfig(join(item.adapterFolder, peftFiles.config));
    const ours = readConfig(join(folder, peftFiles.config), outputs);
    expect({ ...ours, ...left(theirs) }).toEqual({
      ...theirs,
      ...adjusted,
      ...Object.fromEntries(changed),
      ...left(theirs),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Written {
  /** Whether values come from a graph and are close, not equal. */
  readonly computed: boolean;
  /** Keys that repeat another one, which PEFT lacks where it did not see that an output layer is tied. */
  readonly aliases: Readonly<Record<string, string>>;
}

function checkTensors(ours: string, theirs: string, { computed, aliases }: Written): void {
  const [own, peft] = [SafetensorsFile.open(ours), SafetensorsFile.open(theirs)];
  const wanted = peft.names.filter((name) => !copy.test(name));
  const names = own.names.filter((name) => peft.names.includes(name) || !(name in aliases));
  expect(names).toEqual(wanted);
  if (computed) {
    const [made, given] = [readArrays(ours), readArrays(theirs)];
    for (const name of wanted) expectClose(name, made.get(name), given.get(name), tolerances.exact);
    return;
  }
  if (wanted.length === peft.names.length && names.length === own.names.length) {
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

/**
 * Lists as sets: PEFT writes them in the order of Python's hashes, and adds the names of heads more than once.
 *
 * @param outputs names to leave out, of output layers by which we let PEFT see that they are tied.
 */
function readConfig(file: string, outputs: readonly string[] = []): Record<string, unknown> {
  const config: object = JSON.parse(readFileSync(file, "utf8"));
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [
      name,
      Array.isArray(value) ? [...new Set(value)].filter((each) => !outputs.includes(each)).sort() : value,
    ]),
  );
}
