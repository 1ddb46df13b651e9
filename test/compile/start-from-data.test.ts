/** Starts of LoRA from batches of data, against the factors that PEFT starts with on the same data. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import { readTensors } from "../../src/compile/peft-folder.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { type StartedRequest, startFromData } from "../../src/compile/start-from-data.ts";
import type { Dataset } from "../../src/data/batch.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor, type NDArray } from "../../src/ops/ndarray.ts";
import { GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";

const folder = join(oracleRoot, "models", "llama");
const io = readArrays(join(folder, "io.safetensors"));
const model = readModel(join(folder, "model.onnx"));
const [r, alpha] = [4, 8];

interface Row {
  readonly batch: string;
  readonly at: number;
  readonly length: number;
}

const rows: readonly Row[] = [0, 1, 2, 3].flatMap((index) => {
  const batch = `batch${index}`;
  const mask = arrayOf(`${batch}.attention_mask`);
  const [count = 0, width = 0] = mask.shape;
  return Array.from({ length: count }, (_, at) => {
    const length = mask.toNumbers().slice(at * width, (at + 1) * width);
    return { batch, at, length: length.reduce((sum, one) => sum + one, 0) };
  });
});

function arrayOf(key: string): NDArray {
  const array = io.get(key);
  if (array === undefined) throw new Error(`no "${key}"`);
  return array;
}

/** Every example without its padding: alone, or all together in one batch, filled up with zeros. */
function examples(width: number): Dataset {
  const fields = ["input_ids", "attention_mask", "labels"];
  return {
    rows: rows.length,
    fields,
    collate: (chosen, wanted) => {
      const own = Array.from(chosen, (at) => rows[at]).filter((row) => row !== undefined);
      const length = Math.max(width, ...own.map((row) => row.length));
      return Object.fromEntries(
        wanted.map(({ name }) => {
          const data = own.flatMap((row) => {
            const array = arrayOf(`${row.batch}.${name}`);
            const at = row.at * (array.shape[1] ?? 0);
            const values = array.toNumbers().slice(at, at + row.length);
            return [...values, ...Array.from({ length: length - row.length }, () => 0)];
          });
          return [
            name,
            { dtype: "int64" as const, shape: [own.length, length], data: BigInt64Array.from(data, BigInt) },
          ];
        }),
      );
    },
  };
}

function requestOf(options: Readonly<Record<string, unknown>>): CompileRequest {
  const targets = ["q_proj", "v_proj", "down_proj"];
  return {
    task: "causal-lm",
    method: { name: "lora", options: { r, lora_alpha: alpha, target_modules: targets, ...options } },
  };
}

function started(options: Readonly<Record<string, unknown>>, together = false): Promise<StartedRequest> {
  const data = { open: () => examples(together ? 12 : 0), batch: together ? rows.length : 1 };
  return startFromData(model, requestOf(options), data);
}

/** B A of every module, by the key of A. */
function products(tensors: ReadonlyMap<string, Tensor>): Map<string, Float64Array> {
  const factors = [...tensors].filter(([key]) => key.endsWith("lora_A.weight"));
  return new Map(
    factors.map(([key, tensor]) => {
      const other = tensors.get(key.replace("lora_A", "lora_B"));
      if (other === undefined) throw new Error(`no B beside "${key}"`);
      const [A, B] = [fromTensor(tensor), fromTensor(other)];
      const [rank = 0, columns = 0] = A.shape;
      return [
        key,
        Float64Array.from({ length: (B.shape[0] ?? 0) * columns }, (_, at) => {
          const [row, column] = [Math.floor(at / columns), at % columns];
          let sum = 0;
          for (let k = 0; k < rank; k++)
            sum += (B.numbers[row * rank + k] ?? 0) * (A.numbers[k * columns + column] ?? 0);
          return sum;
        }),
      ];
    }),
  );
}

const reference = (name: string): Map<string, Tensor> =>
  readTensors(join("fixtures", "starts", `${name}.safetensors`));

function expectSameProducts(
  own: ReadonlyMap<string, Float64Array>,
  wanted: ReadonlyMap<string, Float64Array>,
): void {
  for (const [key, values] of wanted) {
    const size = Math.max(...values.map(Math.abs));
    expect(size).toBeGreaterThan(1e-3);
    values.forEach((value, at) => {
      expect(Math.abs((own.get(key)?.[at] ?? Number.NaN) - value)).toBeLessThan(2e-5 + 1e-3 * size);
    });
  }
}

/** Singular vectors, whose signs depend on the library; PEFT searches them by random numbers. */
function expectSameVectors(own: Tensor | undefined, wanted: Tensor, byRow: boolean): void {
  if (own === undefined) throw new Error("a factor is missing");
  expect(own.dims).toEqual(wanted.dims);
  const [first = 0, second = 0] = wanted.dims;
  const vectors = (tensor: Tensor): number[][] => {
    const { numbers } = fromTensor(tensor);
    return Array.from({ length: byRow ? first : second }, (_, i) =>
      Array.from({ length: byRow ? second : first }, (_each, k) =>
        Number(byRow ? numbers[i * second + k] : numbers[k * second + i]),
      ),
    );
  };
  const theirs = vectors(wanted);
  vectors(own).forEach((vector, i) => {
    const other = theirs[i] ?? [];
    const cosine = vector.reduce((sum, value, k) => sum + value * (other[k] ?? 0), 0);
    const [size, wantedSize] = [Math.hypot(...vector), Math.hypot(...other)];
    expect(Math.abs(size / wantedSize - 1)).toBeLessThan(1e-3);
    expect(Math.abs(cosine) / (size * wantedSize)).toBeGreaterThan(0.999);
  });
}

describe("starts from data", () => {
  it.each([
    ["corda-ipm", { init_lora_weights: "corda", corda_config: { corda_method: "ipm" } }],
    ["corda-kpm", { init_lora_weights: "corda", corda_config: { corda_method: "kpm" } }],
    ["lora-ga-ArB2r-stable", { init_lora_weights: "lora_ga" }],
    [
      "lora-ga-ArBr-gd_scale",
      { init_lora_weights: "lora_ga", lora_ga_config: { direction: "ArBr", scale: "gd_scale" } },
    ],
  ])("are those of PEFT, and leave the model as it was: %s", async (name, options) => {
    const { request, starts } = await started(options);
    if (starts === undefined) throw new Error("nothing was gathered");
    const wanted = reference(name);
    expect([...starts.keys()].filter((key) => wanted.has(key)).sort()).toEqual([...wanted.keys()].sort());
    if (name.startsWith("corda")) expectSameProducts(products(starts), products(wanted));
    else
      for (const [key, tensor] of wanted) expectSameVectors(starts.get(key), tensor, key.includes("lora_A"));
    const compiled = compileGraphs(model, request, { starts });
    const session = await GraphSession.open(compiled.graphs.eval);
    const batch = new Map(["input_ids", "attention_mask", "labels"].map((f) => [f, arrayOf(`batch0.${f}`)]));
    const results = await session.run(batch, startingState(compiled, "eval"));
    await session.close();
    const logits = arrayOf("batch0.logits").numbers;
    resultOf(results, "logits").numbers.forEach((value, at) => {
      expect(value).toBeCloseTo(logits[at] ?? Number.NaN, 4);
    });
  });

  it("are directions of inputs, with PEFT's ranks: eva", async () => {
    const { request, starts } = await started({ init_lora_weights: "eva", eva_config: { rho: 1.5 } }, true);
    const wanted = [...reference("eva")].filter(([key]) => key.includes("lora_A"));
    expect([...(starts?.keys() ?? [])].sort()).toEqual(wanted.map(([key]) => key).sort());
    for (const [key, tensor] of wanted) {
      expectSameVectors(starts?.get(key), tensor, true);
    }
    expect(request.method?.options).toMatchObject({
      rank_pattern: { "model.layers.0.mlp.down_proj": 3, "model.layers.1.self_attn.q_proj": 5 },
      alpha_pattern: { "model.layers.0.mlp.down_proj": 6, "model.layers.1.self_attn.q_proj": 10 },
    });
  });

  it("are refused without data, or with too few", async () => {
    expect(() => compileGraphs(model, requestOf({ init_lora_weights: "corda" }))).toThrow("E_START_DATA");
    await expect(started({ init_lora_weights: "eva", r: 20 })).rejects.toThrow("E_START_DATA_SHORT");
  });

  it("do nothing where a method starts without them", async () => {
    expect((await started({})).starts).toBeUndefined();
  });
});
