/** Adapter folders of PEFT: what is read, and what is refused because it would mean another computation. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import { writePeftFolder } from "../../src/compile/export-peft.ts";
import { type PeftFolder, readPeftFolder } from "../../src/compile/peft-folder.ts";
import { type Diagnostic, DiagnosticError } from "../../src/diagnostics/define.ts";
import { SafetensorsFile, writeSafetensors } from "../../src/formats/safetensors-file.ts";
import { readModel } from "../../src/onnx/read.ts";
import { decodeElements, encodeElements } from "../../src/ops/elements.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { modelFile } from "../training/oracle-models.ts";

const root = mkdtempSync(join(tmpdir(), "peft-folder-"));
afterAll(() => rmSync(root, { recursive: true }));
const original = join(oracleRoot, "cases", "llama", "lora");
let made = 0;

/** A copy of the folder of a LoRA case. */
function copyFolder(): string {
  made += 1;
  const folder = join(root, String(made));
  mkdirSync(folder);
  for (const name of ["adapter_config.json", "adapter_model.safetensors"])
    cpSync(join(original, name), join(folder, name));
  return folder;
}

/** A copy whose configuration has other fields. */
function withConfig(changes: Readonly<Record<string, unknown>>): string {
  const folder = copyFolder();
  const file = join(folder, "adapter_config.json");
  const config: object = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...config, ...changes }));
  return folder;
}

type Entry = Parameters<typeof writeSafetensors>[1] extends Iterable<infer E> ? E : never;

/** A copy whose tensors are those that `change` gives. */
async function withTensors(change: (entry: Entry, index: number) => Entry | undefined): Promise<string> {
  const folder = copyFolder();
  const file = join(folder, "adapter_model.safetensors");
  const opened = SafetensorsFile.open(join(original, "adapter_model.safetensors"));
  const entries = opened.names.flatMap((name, index) => {
    const bytes = opened.bytes(name);
    const entry: Entry = { name, dtype: "F32", shape: opened.entry(name).shape, data: () => bytes };
    return change(entry, index) ?? [];
  });
  await writeSafetensors(file, entries, new Map([["format", "pt"]]));
  return folder;
}

function refusal(act: () => unknown): Diagnostic {
  try {
    act();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics[0];
    throw error;
  }
  throw new Error("nothing was refused");
}

function compileFrom(folder: string): ReturnType<typeof compileGraphs> {
  const peft = readPeftFolder(folder);
  return compileGraphs(
    readModel(modelFile("llama")),
    { method: { name: peft.method, options: { ...peft.options } } },
    { adapter: peft },
  );
}

describe("a folder as PEFT writes it", () => {
  const folder = readPeftFolder(original);

  it("gives method, options under PEFT's names and task", () => {
    expect(folder).toMatchObject({ method: "lora", taskType: "CAUSAL_LM" });
    expect(folder.options).toMatchObject({ r: 4, target_modules: expect.any(Array), use_rslora: false });
    expect(Object.keys(folder.options)).not.toContain("peft_version");
  });

  it("gives the tensors of its file", () => {
    const opened = SafetensorsFile.open(join(original, "adapter_model.safetensors"));
    expect([...folder.tensors.keys()].sort()).toEqual([...opened.names].sort());
    for (const [name, tensor] of folder.tensors) {
      expect(tensor.dtype).toBe("float32");
      expect(Buffer.from(tensor.bytes()).equals(Buffer.from(opened.bytes(name)))).toBe(true);
    }
  });

  it("is where training starts", () => {
    const { state, parameterKeys } = compileFrom(original);
    expect([...parameterKeys].sort()).toEqual([...folder.tensors.keys()].sort());
    for (const key of parameterKeys) {
      const [got, wanted] = [state.tensors.get(key), folder.tensors.get(key)];
      if (got === undefined || wanted === undefined) throw new Error(`no "${key}"`);
      expect(fromTensor(got).data).toEqual(fromTensor(wanted).data);
    }
  });
});

describe("fields of the configuration", () => {
  it.each([
    [{ something_new: true }, "something_new", "absent"],
    [{ something_new: 0.5 }, "something_new", "absent"],
    [{ something_new: ["a"] }, "something_new", "absent"],
    [{ layer_replication: [[0, 2]] }, "layer_replication", "null"],
    [{ megatron_config: { size: 1 } }, "megatron_config", "null"],
    [{ megatron_core: null }, "megatron_core", '"megatron.core"'],
  ])("%j is refused, since it is not at its default", (changes, field, expected) => {
    const found = refusal(() => readPeftFolder(withConfig(changes)));
    expect(found).toMatchObject({ code: "E_PEFT_FIELD_UNSUPPORTED", expected: `${field}: ${expected}` });
    expect(found.message).toContain(field);
    expect(found.got).toBe(`${field}: ${JSON.stringify(Object.values(changes)[0])}`);
  });

  it.each([
    { something_new: null },
    { something_new: false },
    { something_new: {} },
    { something_new: [] },
    { fan_in_fan_out: true },
    { base_model_name_or_path: "somewhere", revision: "main", inference_mode: false },
    { peft_version: "0.7.0" },
    { layer_replication: [] },
    { megatron_config: null },
  ])("%j is accepted", (changes) => {
    expect(readPeftFolder(withConfig(changes)).method).toBe("lora");
  });

  it("that are options are checked as options are", () => {
    const folder = withConfig({ r: 0 });
    expect(refusal(() => compileFrom(folder))).toMatchObject({ code: "E_BAD_OPTION" });
    expect(refusal(() => compileFrom(withConfig({ init_lora_weights: "luck" })))).toMatchObject({
      code: "E_BAD_OPTION",
    });
  });

  it("may be as few as type and targets", () => {
    const folder = copyFolder();
    writeFileSync(join(folder, "adapter_config.json"), '{"peft_type": "LORA", "target_modules": ["q_proj"]}');
    expect(readPeftFolder(folder).options).toEqual({ target_modules: ["q_proj"] });
  });
});

describe("folders that are none", () => {
  it.each(["adapter_config.json", "adapter_model.safetensors"])("lack %s", (name) => {
    const folder = copyFolder();
    rmSync(join(folder, name));
    expect(refusal(() => readPeftFolder(folder))).toMatchObject({
      code: "E_PEFT_FILE_MISSING",
      place: join(folder, name),
    });
  });

  it.each(["", "{", "[1]", "null", '"LORA"'])("have the configuration %j", (text) => {
    const folder = copyFolder();
    writeFileSync(join(folder, "adapter_config.json"), text);
    expect(refusal(() => readPeftFolder(folder)).code).toBe("E_PEFT_CONFIG");
  });

  it.each([{ peft_type: "NOT_A_METHOD" }, { peft_type: "lora" }, { peft_type: null }])(
    "are of %j",
    (changes) => {
      const found = refusal(() => readPeftFolder(withConfig(changes)));
      expect(found.code).toBe("E_PEFT_TYPE_UNKNOWN");
      expect(found.expected).toContain("LORA");
    },
  );
});

describe("tensors", () => {
  it("of another shape are refused by name, with both shapes", async () => {
    const folder = await withTensors((entry, i) =>
      i === 0 ? { ...entry, shape: [...entry.shape].reverse() } : entry,
    );
    const found = refusal(() => compileFrom(folder));
    expect(found).toMatchObject({
      code: "E_CHECKPOINT_SHAPE",
      place: join(folder, "adapter_model.safetensors"),
    });
    expect([found.expected, found.got]).toEqual(["[4,48]", "[48,4]"]);
  });

  it("of another rank than the configuration says are refused", () => {
    expect(refusal(() => compileFrom(withConfig({ r: 2 }))).code).toBe("E_CHECKPOINT_SHAPE");
  });

  it("that are missing are refused by name, with near ones", async () => {
    const folder = await withTensors((entry, i) =>
      i === 0 ? { ...entry, name: entry.name.replace("lora_A", "lora_a") } : entry,
    );
    const found = refusal(() => compileFrom(folder));
    expect(found.code).toBe("E_CHECKPOINT_KEY_MISSING");
    expect(found.expected).toContain("lora_A");
    expect(found.got).toContain("lora_a");
  });

  it("of whole numbers are refused", async () => {
    const folder = await withTensors((entry, i) => (i === 0 ? { ...entry, dtype: "I32" } : entry));
    expect(refusal(() => compileFrom(folder))).toMatchObject({ code: "E_CHECKPOINT_DTYPE", got: "int32" });
  });

  it.each([
    ["F16", "float16"],
    ["BF16", "bfloat16"],
  ] as const)("of type %s are raised to float32, each value as it is", async (dtype, type) => {
    const values = [0.1, -3.25, 1e-5, 2];
    let rounded: readonly number[] = [];
    const folder = await withTensors((entry) => {
      const size = entry.shape.reduce((product, dim) => product * dim, 1);
      const data = encodeElements(
        type,
        Float64Array.from({ length: size }, (_, i) => values[i % values.length] ?? 0),
      );
      rounded = Array.from(decodeElements(type, data, size), Number).slice(0, 4);
      return { ...entry, dtype, data: () => data };
    });
    const { state, parameterKeys } = compileFrom(folder);
    for (const key of parameterKeys) {
      const tensor = state.tensors.get(key);
      if (tensor === undefined) throw new Error(`no "${key}"`);
      expect(tensor.dtype).toBe("float32");
      expect([...fromTensor(tensor).numbers.slice(0, 4)]).toEqual(rounded);
    }
    expect(rounded[0]).not.toBe(Math.fround(0.1));
  });
});

describe("what we write", () => {
  it("reads back, and has every field of PEFT's own file", async () => {
    const peft = readPeftFolder(original);
    const folder = join(root, "written");
    await writePeftFolder(folder, {
      adapter: bindAdapter("lora", peft.options),
      taskType: "CAUSAL_LM",
      tensors: peft.tensors,
    });
    const again: PeftFolder = readPeftFolder(folder);
    expect(again).toMatchObject({ method: "lora", taskType: "CAUSAL_LM" });
    expect(again.options).toEqual(peft.options);
    const [ours, theirs]: object[] = [folder, original].map((place) =>
      JSON.parse(readFileSync(join(place, "adapter_config.json"), "utf8")),
    );
    expect(Object.keys(ours ?? {})).toEqual(Object.keys(theirs ?? {}).sort());
    for (const [name, tensor] of peft.tensors)
      expect(fromTensor(again.tensors.get(name) ?? tensor).data).toEqual(fromTensor(tensor).data);
    expect([...again.tensors.keys()].sort()).toEqual([...peft.tensors.keys()].sort());
  });
});
