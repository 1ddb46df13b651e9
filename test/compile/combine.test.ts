/** Several adapters as one, against PEFT's own `add_weighted_adapter`. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { requireAdapter } from "../../passes/adapt.ts";
import { combinationSchema, combinationTypes } from "../../src/adapt/combination.ts";
import { combineAdapters, contextOf } from "../../src/compile/combine.ts";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { fromTensor, type NDArray } from "../../src/ops/ndarray.ts";
import { expectClose, tolerances } from "../oracle/close.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";

const root = mkdtempSync(join(tmpdir(), "combine-"));
afterAll(() => rmSync(root, { recursive: true }));

const folder = join(oracleRoot, "cases", "llama", "lora-weighted");
const first = join(folder, "first");
const second = join(folder, "second");

const recordSchema = z.looseObject({
  combination_type: z.enum(combinationTypes),
  weights: z.tuple([z.number(), z.number()]),
  r: z.number(),
  lora_alpha: z.number(),
  seed: z.number(),
  density: z.number().optional(),
  svd_rank: z.number().optional(),
  majority_sign_method: z.enum(["total", "frequency"]).optional(),
});
const records = z
  .looseObject({ done: z.record(z.string(), recordSchema) })
  .parse(JSON.parse(readFileSync(join(folder, "combined.json"), "utf8"))).done;

function requestOf(name: string): { request: z.output<typeof combinationSchema>; weights: [number, number] } {
  const record = records[name];
  if (record === undefined) throw new Error(`no ${name}`);
  const { combination_type: type, density, svd_rank, majority_sign_method, seed, weights } = record;
  return {
    request: combinationSchema.parse({ type, density, svd_rank, majority_sign_method, seed }),
    weights,
  };
}

const keyA = "lora_A.weight";
const keyB = "lora_B.weight";
const paths = ["q_proj", "v_proj"].map((name) => `self_attn.${name}`).concat("mlp.down_proj");
/** Modules in the order in which PyTorch's model defines them, which is that of PEFT's random draws. */
const modules = [0, 1].flatMap((layer) => paths.map((path) => `model.layers.${layer}.${path}`));

function arraysOf(place: string, path: string): Record<string, NDArray> {
  const { tensors } = readPeftFolder(place);
  return Object.fromEntries(
    [keyA, keyB].map((key) => {
      const tensor = tensors.get(`base_model.model.${path}.${key}`);
      if (tensor === undefined) throw new Error(`no ${path}`);
      return [key, fromTensor(tensor)];
    }),
  );
}

/** B A. */
function product({ [keyA]: A, [keyB]: B }: Readonly<Record<string, NDArray>>): Float64Array {
  if (A === undefined || B === undefined) throw new Error("no factors");
  const [rank = 0, inner = 0] = A.shape;
  const outer = B.shape[0] ?? 0;
  return Float64Array.from({ length: outer * inner }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < rank; k++)
      sum += (B.numbers[Math.floor(i / inner) * rank + k] ?? 0) * (A.numbers[k * inner + (i % inner)] ?? 0);
    return sum;
  });
}

describe("against PEFT", () => {
  const files = readdirSync(folder).filter((name) => name.startsWith("combined-"));
  it("has a recorded case for every type", () => {
    const types = new Set(Object.values(records).map((record) => record.combination_type));
    expect([...types].sort()).toEqual([...combinationTypes].sort());
  });

  it.each(files.map((file) => file.slice("combined-".length, -".safetensors".length)))("%s", (name) => {
    const { request, weights } = requestOf(name);
    const expected = readArrays(join(folder, `combined-${name}.safetensors`));
    const type = request.type ?? "svd";
    const { combination } = requireAdapter("lora");
    if (combination === undefined) throw new Error("lora has no combination");
    const given = [first, second].map((place) => readPeftFolder(place));
    const own = combination.options(
      given.map(({ options }) => options),
      { type, svd_rank: request.svd_rank },
    );
    if (typeof own === "string") throw new Error(own);
    expect(own).toMatchObject({ r: records[name]?.r, lora_alpha: records[name]?.lora_alpha });
    const context = contextOf(type, request, { options: { ...given[0]?.options, ...own } });
    // Before it prunes, PEFT makes the layers of the new adapter, of which PyTorch draws A twice and B once.
    for (const path of modules) {
      const { [keyA]: A, [keyB]: B } = arraysOf(first, path);
      for (let i = 0; i < 2 * (A?.size ?? 0) + (B?.size ?? 0); i++) context.rule.draw();
    }
    for (const path of modules) {
      const parts = [first, second].map((place, i) => ({
        weight: weights[i] ?? 0,
        options: given[i]?.options,
        tensors: arraysOf(place, path),
      }));
      const made = combination.module(path, parts, context);
      if (typeof made === "string") throw new Error(made);
      const wanted = Object.fromEntries(
        [keyA, keyB].map((key) => [key, expected.get(`base_model.model.${path}.${key}`)]),
      );
      // Singular vectors have their signs from the library: of a decomposition only the product is one number.
      if (/svd/.test(type)) {
        const { [keyA]: A, [keyB]: B } = wanted;
        if (A === undefined || B === undefined) throw new Error(`no ${path}`);
        expect(made[keyA]?.shape).toEqual(A.shape);
        const [got, theirs] = [product(made), product({ [keyA]: A, [keyB]: B })];
        got.forEach((value, i) => {
          expect(Math.abs(value - (theirs[i] ?? 0))).toBeLessThan(1e-5);
        });
      } else
        for (const key of [keyA, keyB])
          expectClose(`${path}.${key}`, made[key], wanted[key], tolerances.exact);
    }
  });

  it("IA3, linear", () => {
    const place = join(oracleRoot, "cases", "llama", "ia3-weighted");
    const weighted = [
      { folder: join(place, "first"), weight: 0.6 },
      { folder: join(place, "second"), weight: 0.7 },
    ] as const;
    const { tensors, type } = combineAdapters([...weighted]);
    expect(type).toBe("linear");
    const expected = readArrays(join(place, "combined-linear.safetensors"));
    expect(tensors.size).toBe(6);
    for (const [key, tensor] of tensors)
      expectClose(key, fromTensor(tensor), expected.get(key), tolerances.exact);
  });
});

describe("the folder", () => {
  it("is read again, with PEFT's fields and the union of the targets", async () => {
    const made = combineAdapters(
      [
        { folder: first, weight: 0.7 },
        { folder: second, weight: 0.5 },
      ],
      { type: "cat" },
    );
    const out = join(root, "cat");
    await made.write(out);
    const again = readPeftFolder(out);
    expect(again.options).toMatchObject({ r: 8, lora_alpha: 8, rank_pattern: {}, use_rslora: false });
    expect(Object.keys(again.config)).toEqual(Object.keys(readPeftFolder(first).config));
    expect([...again.tensors.keys()].sort()).toEqual([...readPeftFolder(first).tensors.keys()].sort());
    expect(existsSync(join(out, "adapter_config.json"))).toBe(true);
  });
});

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.code;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("refusals", () => {
  const both = [{ folder: first }, { folder: second }] as const;
  const ia3 = join(oracleRoot, "cases", "llama", "ia3");
  it.each([
    ["a missing density", () => combineAdapters([...both], { type: "ties" }), "E_COMBINE_OPTION"],
    [
      "an idle density",
      () => combineAdapters([...both], { type: "linear", density: 0.5 }),
      "E_COMBINE_OPTION",
    ],
    ["an idle rank", () => combineAdapters([...both], { type: "cat", svd_rank: 2 }), "E_COMBINE_OPTION"],
    ["a density of 0", () => combineAdapters([...both], { type: "ties", density: 0 }), "E_BAD_OPTION"],
    ["two methods", () => combineAdapters([{ folder: first }, { folder: ia3 }]), "E_COMBINE_METHODS_DIFFER"],
    ["a type that IA3 lacks", () => combineAdapters([{ folder: ia3 }], { type: "cat" }), "E_COMBINE_TYPE"],
    [
      "a method without any",
      () => combineAdapters([{ folder: join(oracleRoot, "cases", "llama", "hra") }]),
      "E_COMBINE_METHOD",
    ],
    [
      "DoRA",
      () => combineAdapters([{ folder: join(oracleRoot, "cases", "llama", "lora-dora") }]),
      "E_COMBINE_REFUSED",
    ],
  ] as const)("%s", (_, act, code) => {
    expect(codeOf(act)).toBe(code);
  });

  it("of ranks that differ, unless the type takes them", () => {
    const embedding = join(oracleRoot, "cases", "llama", "lora-rslora");
    const ranks = new Set([first, embedding].map((place) => readPeftFolder(place).options.r));
    const given = [
      { folder: first },
      { folder: join(oracleRoot, "cases", "llama", "lora-patterns") },
    ] as const;
    expect(ranks.size).toBeGreaterThan(0);
    expect(codeOf(() => combineAdapters([...given], { type: "linear" }))).toBe("E_COMBINE_REFUSED");
    expect(combineAdapters([...given], { type: "cat" }).tensors.size).toBeGreaterThan(0);
  });
});
