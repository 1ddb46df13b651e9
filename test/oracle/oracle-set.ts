/** The reference data of HF PEFT: which cases there are, and their tensors. Root: `PEFT_ORACLES`, else `fixtures/oracles`. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { SafetensorsFile } from "../../src/formats/safetensors-file.ts";
import { decodeElements } from "../../src/ops/elements.ts";
import { NDArray } from "../../src/ops/ndarray.ts";

export const oracleRoot = resolve(process.env.PEFT_ORACLES ?? "fixtures/oracles");

const trainSchema = z.looseObject({
  amp: z.string().default("none"),
  mode: z.string().default("train"),
  batches: z.array(z.string()),
  losses: z.array(z.number()),
  grad_norms: z.array(z.number()).default([]),
  lr: z.number(),
  optimizer: z.string(),
  weight_decay: z.number().default(0),
  max_grad_norm: z.number().default(1),
  gradient_accumulation: z.int().default(1),
  micro_losses: z.array(z.number()).default([]),
  rank_pattern: z.record(z.string(), z.array(z.boolean())).optional(),
  loss_scales: z.array(z.number()).default([]),
  float64_difference: z
    .looseObject({ loose_tensors: z.record(z.string(), z.number()).default({}) })
    .nullish(),
});

export type TrainRecord = z.output<typeof trainSchema>;

/** One case on one exported file. */
export interface OracleCase {
  readonly model: string;
  readonly name: string;
  /** File of the model: `model.onnx`, `model-dynamo.onnx` or `model-unfolded.onnx`. */
  readonly exported: string;
  readonly folder: string;
  /** Folder with results and training: the case's own, or that of the formula where PEFT does something else. */
  readonly resultsFolder: string;
  /** Folder with adapter_config.json: the case's own, or that of its named adapter. */
  readonly adapterFolder: string;
  readonly modelFile: string;
  /** What the set says of the case. */
  readonly note: string;
}

const indexSchema = z.looseObject({
  cases: z.array(
    z.looseObject({
      model: z.string(),
      case: z.string(),
      status: z.string(),
      method: z.string(),
      mode: z.string().nullish(),
      note: z.string().nullish(),
    }),
  ),
});

/** Every case that PEFT itself could run, with both exports; where BatchNorm is folded, the unfolded file instead. */
export function listOracleCases(): OracleCase[] {
  const index = indexSchema.parse(JSON.parse(readFileSync(join(oracleRoot, "index.json"), "utf8")));
  return index.cases
    .filter(({ status }) => status === "ok")
    .flatMap(({ model, case: name, note }) =>
      exportsOf(model).map((exported) => {
        const folder = join(oracleRoot, "cases", model, name);
        return {
          model,
          name,
          exported,
          note: note ?? "",
          folder,
          resultsFolder: resultsFolderOf(model, name, folder),
          adapterFolder: adapterFolderOf(folder),
          modelFile: join(oracleRoot, "models", model, exported),
        };
      }),
    );
}

/** `smallconv` has a BatchNorm that both exporters fold into the convolution before it. */
function exportsOf(model: string): string[] {
  const modules = readFileSync(join(oracleRoot, "models", model, "modules.json"), "utf8");
  const files = modules.includes("BatchNorm") ? ["model-unfolded.onnx"] : ["model.onnx", "model-dynamo.onnx"];
  return files.filter((file) => existsSync(join(oracleRoot, "models", model, file)));
}

/** Numbers of `scripts/formula-reference.py` go before those of PEFT; docs/peft-differences.md says why. */
function resultsFolderOf(model: string, name: string, folder: string): string {
  const corrected = resolve("fixtures/oracles/formula", model, name);
  return existsSync(corrected) ? corrected : folder;
}

function adapterFolderOf(folder: string): string {
  if (!existsSync(folder) || existsSync(join(folder, "adapter_config.json"))) return folder;
  const inner = readdirSync(folder).find((name) => existsSync(join(folder, name, "adapter_config.json")));
  return inner === undefined ? folder : join(folder, inner);
}

/** What a folder says of its training; undefined where it has none. */
export function readTrainRecord(folder: string): TrainRecord | undefined {
  const file = join(folder, "train.json");
  return existsSync(file) ? trainSchema.parse(JSON.parse(readFileSync(file, "utf8"))) : undefined;
}

/** Keys of trained tensors that no gradient reached when the set was made. */
export function readUntouched(folder: string): ReadonlySet<string> {
  const file = join(folder, "init.json");
  if (!existsSync(file)) return new Set();
  const schema = z.looseObject({ parameters_without_gradient: z.array(z.string()).default([]) });
  return new Set(schema.parse(JSON.parse(readFileSync(file, "utf8"))).parameters_without_gradient);
}

/** Tensors that stand in a file under two names: the name under which PEFT reports the gradient, by the plain one. */
export function readAliases(folder: string): ReadonlyMap<string, string> {
  const file = join(folder, "init.json");
  if (!existsSync(file)) return new Map();
  const schema = z.looseObject({ tensor_aliases: z.record(z.string(), z.array(z.string())).default({}) });
  const { tensor_aliases: aliases } = schema.parse(JSON.parse(readFileSync(file, "utf8")));
  return new Map(
    Object.entries(aliases).flatMap(([key, others]) => others.map((other) => [other, key] as const)),
  );
}

/** All tensors of a safetensors file. */
export function readArrays(file: string): Map<string, NDArray> {
  const opened = SafetensorsFile.open(file);
  const types = {
    F32: "float32",
    F64: "float64",
    F16: "float16",
    BF16: "bfloat16",
    I64: "int64",
    I32: "int32",
    I16: "int16",
    U8: "uint8",
    BOOL: "bool",
  } as const;
  return new Map(
    opened.names.map((name) => {
      const { dtype, shape } = opened.entry(name);
      const type = Object.entries(types).find(([known]) => known === dtype)?.[1];
      if (type === undefined) throw new Error(`${file}: ${name} is of type ${dtype}`);
      const size = shape.reduce((product, dim) => product * dim, 1);
      return [name, new NDArray(type, shape, decodeElements(type, opened.bytes(name), size))];
    }),
  );
}
