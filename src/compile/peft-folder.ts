/** HF PEFT adapter folders: `adapter_config.json` as method options, `adapter_model.safetensors` as tensors. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { adapters } from "../../passes/adapters/index.ts";
import type { Adapter, BoundAdapter } from "../adapt/define.ts";
import { peftErrors } from "../diagnostics/peft.ts";
import { elementTypeOf } from "../formats/safetensors.ts";
import { SafetensorsFile } from "../formats/safetensors-file.ts";
import { isFloat } from "../ir/dtype.ts";
import { Tensor } from "../ir/tensor.ts";
import { convertTensor } from "../ops/convert-tensor.ts";

/** Names of the two files. */
export const peftFiles = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;

/** An adapter folder as it was read. */
export interface PeftFolder {
  readonly method: string;
  /** Options under PEFT's names; fields that we do not model had PEFT's defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly taskType: string | null;
  /** The configuration as it stands in the file. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Path of the tensor file, and its tensors as byte ranges. */
  readonly file: string;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Fields of every PEFT configuration. */
const commonFields = {
  auto_mapping: null,
  base_model_name_or_path: null,
  inference_mode: true,
  peft_type: "",
  peft_version: "",
  revision: null,
  task_type: null,
};

/**
 * Reads a folder that PEFT or we wrote.
 *
 * @throws DiagnosticError `E_PEFT_FILE_MISSING`, `E_PEFT_CONFIG`, `E_PEFT_TYPE_UNKNOWN`, `E_PEFT_FIELD_UNSUPPORTED`.
 */
export function readPeftFolder(folder: string, methods: readonly Adapter[] = adapters): PeftFolder {
  const config = readConfig(join(folder, peftFiles.config));
  const type = config.peft_type;
  const adapter = methods.find(({ peftType }) => peftType === type);
  if (adapter === undefined) {
    throw peftErrors.E_PEFT_TYPE_UNKNOWN(
      folder,
      String(type),
      methods.map(({ peftType }) => peftType),
    );
  }
  const options: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(config)) {
    if (field in adapter.options.shape) options[field] = value;
    else if (field in adapter.peftConfig) requireDefault(folder, field, value, adapter.peftConfig[field]);
    else if (!(field in commonFields) && isSet(value))
      throw peftErrors.E_PEFT_FIELD_UNSUPPORTED(folder, field, JSON.stringify(value), "absent");
  }
  const file = join(folder, peftFiles.weights);
  const taskType = config.task_type;
  return {
    method: adapter.name,
    options,
    taskType: typeof taskType === "string" ? taskType : null,
    config,
    file,
    tensors: readTensors(file),
  };
}

/**
 * Text of `adapter_config.json` as PEFT writes it: every field, sorted, indented by two.
 *
 * @param facts fields that are not what the options say.
 */
export function peftConfigText(
  adapter: Pick<BoundAdapter, "peftConfig" | "peftType" | "options" | "absentInPeft">,
  taskType: string | undefined,
  version: string,
  facts: Readonly<Record<string, unknown>>,
): string {
  const known = Object.entries(adapter.options).filter(([name]) => !adapter.absentInPeft.includes(name));
  const config: Record<string, unknown> = {
    ...commonFields,
    ...adapter.peftConfig,
    ...Object.fromEntries(known),
    ...facts,
    peft_type: adapter.peftType,
    peft_version: version,
    task_type: taskType ?? null,
  };
  const sorted = Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify(sorted, null, 2)}`;
}

/** Tensors of a safetensors file as byte ranges, floats as float32: nothing is read yet but the header. */
export function readTensors(file: string): Map<string, Tensor> {
  if (!existsSync(file)) throw peftErrors.E_PEFT_FILE_MISSING(file);
  const opened = SafetensorsFile.open(file);
  const tensors = new Map<string, Tensor>();
  for (const name of opened.names) {
    const { dtype, shape, begin, end } = opened.entry(name);
    const type = elementTypeOf(dtype);
    const range = { file, offset: begin, length: end - begin };
    const tensor = new Tensor(type, shape, { kind: "file", range }, { name });
    tensors.set(name, isFloat(type) ? convertTensor(tensor, "float32") : tensor);
  }
  return tensors;
}

function readConfig(file: string): Record<string, unknown> {
  if (!existsSync(file)) throw peftErrors.E_PEFT_FILE_MISSING(file);
  const text = readFileSync(file, "utf8");
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return { ...parsed };
  } catch {
    // Falls through to the diagnostic: the message of the JSON parser says less than ours.
  }
  throw peftErrors.E_PEFT_CONFIG(file, text.slice(0, 40));
}

/** `fan_in_fan_out` follows from the module and may say anything; every other field must be at its default. */
function requireDefault(folder: string, field: string, value: unknown, fallback: unknown): void {
  const same = isSet(value) || isSet(fallback) ? JSON.stringify(value) === JSON.stringify(fallback) : true;
  if (same || field === "fan_in_fan_out") return;
  throw peftErrors.E_PEFT_FIELD_UNSUPPORTED(folder, field, JSON.stringify(value), JSON.stringify(fallback));
}

function isSet(value: unknown): boolean {
  if (value === null || value === undefined || value === false) return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}
