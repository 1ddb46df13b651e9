/** Starts of LoRA from parts of the frozen weight, and the plain LoRA that folders for PEFT hold in their place. */
import { describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { nearestLevels, normalLevels } from "../../passes/adapters/init/quantised.ts";
import { ofWider, type SingularParts } from "../../passes/adapters/parts/singular-parts.ts";
import { singularParts, smallestParts } from "../../passes/adapters/parts/svd.ts";
import { byRotations } from "../../passes/adapters/parts/svd-rotations.ts";
import { baseBias, baseWeight, weightShape } from "../../src/adapt/base-weight.ts";
import { keyOf } from "../../src/adapt/parameters.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { mergeJobs } from "../../src/compile/merge.ts";
import { Random } from "../../src/data/random.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { parseModel } from "../../src/text/parse.ts";
import { type OneLayer, runOneLayer } from "./one-layer.ts";

const diagonal = [4, 0, 0, 0, 0, 0, -3, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0];
const random = new Random(11);
const dense = Array.from({ length: 20 }, () => random.normal());
const row = [0.3, -1, 2, 0.7, -0.4];

function layer(weight: readonly number[], options: Readonly<Record<string, unknown>>): OneLayer {
  return { inputs: 5, outputs: 4, weight, bias: [1, 2, 3, 4], method: "lora", options: { r: 2, ...options } };
}

/** Merged weight of a layer whose A is zero: what the base has left. */
function leftOf(weight: readonly number[], options: Readonly<Record<string, unknown>>): number[] {
  const start = layer(weight, options);
  const zeroA = { ...start, fill: (key: string, i: number) => (key.includes("lora_A") ? 0 : i + 1) };
  return runOneLayer(zeroA, row).merged.get("weight") ?? [];
}

function expectAll(actual: readonly number[], expected: readonly number[], digits = 5): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(actual[i]).toBeCloseTo(value, digits);
  });
}

function product(weight: readonly number[]): number[] {
  return [0, 1, 2, 3].map((i) =>
    row.reduce((sum, value, k) => sum + value * (weight[i * 5 + k] ?? 0), i + 1),
  );
}

describe("starts from the weight", () => {
  it.each(["pissa", "pissa_niter_3", "pissa_niter_0", "olora", "mica"])(
    "leave the output as it was: %s",
    (init) => {
      for (const extra of [{}, { use_rslora: true, lora_alpha: 3 }]) {
        const { y, merged } = runOneLayer(layer(dense, { init_lora_weights: init, ...extra }), row);
        expectAll(y, product(dense));
        expectAll(merged.get("weight") ?? [], dense);
      }
    },
  );

  it("take the largest singular parts off the weight (PiSSA)", () => {
    const left = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0];
    expectAll(leftOf(diagonal, { init_lora_weights: "pissa" }), left);
    expectAll(leftOf(diagonal, { init_lora_weights: "pissa_niter_16" }), left, 3);
  });

  it("take the first columns and their directions off the weight (OLoRA)", () => {
    const left = leftOf(dense, { init_lora_weights: "olora", lora_alpha: 2 });
    const column = (of: readonly number[], k: number): number[] =>
      [0, 1, 2, 3].map((i) => of[i * 5 + k] ?? 0);
    const dot = (a: readonly number[], b: readonly number[]): number =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
    for (const k of [0, 1, 2, 3, 4])
      for (const first of [0, 1]) expect(dot(column(left, k), column(dense, first))).toBeCloseTo(0, 5);
    expectAll(column(left, 0), [0, 0, 0, 0]);
    expect(Math.hypot(...column(left, 4))).toBeGreaterThan(0.1);
  });

  it("take the smallest singular parts off the weight for good (KaSA)", () => {
    const { y, merged } = runOneLayer(layer(diagonal, { kasa_config: {} }), row);
    const left = diagonal.map((value) => (Math.abs(value) > 2 ? value : 0));
    expectAll(merged.get("weight") ?? [], left);
    expectAll(y, product(left));
  });

  it("move the smallest directions alone (MiCA)", () => {
    const start = layer(diagonal, { init_lora_weights: "mica" });
    const { merged } = runOneLayer({ ...start, fill: () => 1 }, row);
    const change = (merged.get("weight") ?? []).map((value, i) => Math.abs(value - (diagonal[i] ?? 0)));
    // s = 4, and each of the two directions moves by a row of ones.
    expectAll(change, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4]);
  });

  it.each([
    [90, 70],
    [70, 90],
    [80, 80],
  ])("are those of a full decomposition, smallest and largest: %s x %s", (rows, columns) => {
    const draw = new Random(2);
    const matrix = Float32Array.from({ length: rows * columns }, () => draw.normal());
    const all = Math.min(rows, columns);
    const whole = ofWider(matrix, rows, columns, byRotations);
    const productOf = ({ left, values, right }: SingularParts, from: number, to: number): number[] =>
      Array.from({ length: rows * columns }, (_, at) => {
        const [row, column] = [Math.floor(at / columns), at % columns];
        let sum = 0;
        for (let i = from; i < to; i++)
          sum += (left[row * values.length + i] ?? 0) * (values[i] ?? 0) * (right[i * columns + column] ?? 0);
        return sum;
      });
    const [small, large] = [smallestParts, singularParts].map((parts) => parts(matrix, rows, columns, 3));
    if (small === undefined || large === undefined) throw new Error("no parts");
    expectAll([...small.values], [...whole.values.slice(all - 3)], 9);
    expectAll([...large.values], [...whole.values.slice(0, 3)], 9);
    expectAll(productOf(small, 0, 3), productOf(whole, all - 3, all), 9);
    expectAll(productOf(large, 0, 3), productOf(whole, 0, 3), 9);
  });

  it("know directions of a matrix that has fewer than it is asked for", () => {
    const { left, values } = smallestParts([1, 0, 0, 0, 2, 0, 0, 0, 0], 3, 3, 2);
    expectAll([...values], [1, 0]);
    expect(Math.abs(left[0] ?? 0)).toBeCloseTo(1, 9);
  });

  it("give the smallest parts in falling order, of wide and of high matrices", () => {
    for (const [rows, columns] of [
      [4, 5],
      [5, 4],
    ] as const) {
      const { left, values, right } = smallestParts(dense, rows, columns, 2);
      expect([left.length, values.length, right.length]).toEqual([2 * rows, 2, 2 * columns]);
      expect(values[0]).toBeGreaterThan(values[1] ?? Number.NaN);
      for (const i of [0, 1]) {
        const image = Array.from({ length: rows }, (_, at) =>
          Array.from({ length: columns }).reduce<number>(
            (sum, _each, k) => sum + (dense[at * columns + k] ?? 0) * (right[i * columns + k] ?? 0),
            0,
          ),
        );
        expectAll(
          image,
          Array.from({ length: rows }, (_, at) => (left[at * 2 + i] ?? 0) * (values[i] ?? 0)),
        );
      }
    }
  });
});

const model = `f (float[1,5] x) => (float[1,4] y) <
  float[4,5] "fc.weight" = {${dense.join()}}, float[4] "fc.bias" = {0, 0, 0, 0}
> { y = Gemm <transB = 1> (x, "fc.weight", "fc.bias") }`;

function mergedWith(
  options: Readonly<Record<string, unknown>>,
  tensors: ReadonlyMap<string, Tensor>,
): number[] {
  const parsed = parseModel(model);
  inferModel(parsed);
  const [job] = mergeJobs(bindAdapter("lora", options), findSites(parsed.graph), tensors, 20);
  return evaluateGraph(job?.model.graph ?? parsed.graph, new Map(), { opset: 20 })[0]?.toNumbers() ?? [];
}

describe("folders for PEFT", () => {
  it.each([
    { init_lora_weights: "pissa" },
    { init_lora_weights: "pissa_niter_1", lora_alpha: 6 },
    { init_lora_weights: "olora", use_rslora: true },
    { init_lora_weights: "pissa", use_rslora: true, rank_pattern: { fc: 3 }, alpha_pattern: { fc: 5 } },
  ])("hold plain LoRA of twice the rank: %s", (extra) => {
    const options = { r: 2, target_modules: ["fc"], ...extra };
    const adapter = bindAdapter("lora", options);
    const parsed = parseModel(model);
    inferModel(parsed);
    const sites = findSites(parsed.graph);
    const [site] = sites;
    if (site === undefined) throw new Error("no site");
    const draw = new Random(5);
    const specs = Object.values(adapter.parameters(site, sites));
    const tensors = new Map(
      specs.map((spec): [string, Tensor] => {
        const start = typeof spec.init === "function" ? [...spec.init(spec.shape, draw)] : [];
        const values = spec.trainable === false ? start : start.map((value) => value + draw.normal());
        return [keyOf(spec, "fc"), float32Tensor(values, spec.shape)];
      }),
    );
    const form = adapter.toPeft(tensors);
    expect(form.options).toMatchObject({ init_lora_weights: true, r: 4 });
    expect(Object.keys(form.options)).not.toContain("auxiliary_loss");
    expectAll(mergedWith(form.options, form.tensors), mergedWith(options, tensors));
    expect(mergedWith(options, tensors)[0]).not.toBeCloseTo(dense[0] ?? 0, 2);
  });
});

describe("modules that share one initializer", () => {
  it("start from their own rows", () => {
    const parsed = parseModel(model);
    inferModel(parsed);
    const [site] = findSites(parsed.graph);
    if (site?.kind !== "linear" || site.bias === undefined) throw new Error("no linear site");
    const rows = { start: 1, size: 2 };
    const part = { ...site, weight: { ...site.weight, rows }, bias: { ...site.bias, rows }, outFeatures: 2 };
    expect(weightShape(part)).toEqual([2, 5]);
    const [weight, bias] = [baseWeight(part), baseBias(part)].map((start) => [...start([], random)]);
    expectAll(weight ?? [], dense.slice(5, 15));
    expect(bias).toEqual([0, 0]);
  });
});

describe("starts from a quantised weight (LoftQ)", () => {
  const quantised = (r: number, extra: Readonly<Record<string, unknown>> = {}): OneLayer =>
    layer(dense, { init_lora_weights: "loftq", r, lora_alpha: 2 * r, ...extra });
  const fresh = (r: number, extra?: Readonly<Record<string, unknown>>): number[] =>
    runOneLayer(quantised(r, extra), row).merged.get("weight") ?? [];
  const distance = (a: readonly number[], b: readonly number[]): number =>
    Math.hypot(...a.map((value, i) => value - (b[i] ?? 0)));
  const twoBits = { loftq_config: { loftq_bits: 2 } };

  it("has the levels of normal float", () => {
    // Table of 4-bit normal float (Dettmers et al. 2023, QLoRA, appendix E).
    const levels = [
      -1, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0, 0.0795803,
      0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1,
    ];
    expectAll([...normalLevels(4)], levels, 6);
    expect(normalLevels(2)).toHaveLength(4);
    expect(normalLevels(8)).toHaveLength(256);
  });

  it("takes the nearest level of each block", () => {
    const weight = Float32Array.from({ length: 70 }, (_, i) => (i < 64 ? (i - 32) / 32 : (i - 66) * 8));
    const near = nearestLevels(weight, Float64Array.from([-1, 0, 0.5, 1]));
    expect([near[0], near[31], near[47], near[49], near[64], near[66], near[67], near[69]]).toEqual([
      -1, 0, 0.5, 0.5, -24, 0, 12, 24,
    ]);
  });

  it("is the weight again with factors of full rank, in the output and merged", () => {
    for (const extra of [{}, { loftq_config: { loftq_bits: 2, loftq_iter: 3 } }, { use_rslora: true }]) {
      const { y, merged } = runOneLayer(quantised(4, extra), row);
      expectAll(y, product(dense));
      expectAll(merged.get("weight") ?? [], dense);
    }
  });

  it("is near the weight with fewer, and nearer with more bits or by more rounds", () => {
    const base = runOneLayer({ ...quantised(2, twoBits), fill: () => 0 }, row).merged.get("weight") ?? [];
    const levels = new Set(base.map((value) => value.toFixed(4)));
    expect(levels.size).toBeLessThanOrEqual(4);
    const lost = distance(base, dense);
    const once = distance(fresh(2, twoBits), dense);
    expect(once).toBeLessThan(lost * 0.8);
    expect(distance(fresh(2, { loftq_config: { loftq_bits: 4 } }), dense)).toBeLessThan(once * 0.6);
    expect(distance(fresh(2, { loftq_config: { loftq_bits: 2, loftq_iter: 5 } }), dense)).toBeLessThan(once);
  });

  it("yields the same in the graph as merged", () => {
    const start = { ...quantised(2, twoBits), fill: (_: string, i: number) => Math.sin(i) };
    const { y, merged } = runOneLayer(start, row);
    const weight = merged.get("weight") ?? [];
    const direct = [0, 1, 2, 3].map((i) =>
      row.reduce((sum, value, k) => sum + value * (weight[i * 5 + k] ?? 0), i + 1),
    );
    expectAll(y, direct, 4);
  });

  it("goes with no folder, and is refused where it says nothing", () => {
    const adapter = bindAdapter("lora", { init_lora_weights: "loftq" });
    expect(adapter.unportable.toPeft).toMatch("quantised weight");
    expect(adapter.unportable.fromPeft).toMatch("quantised weight");
    const model = parseModel(
      'f (float[1,2] x) => (float[1,2] y) <float[2,2] "fc.weight" = {1,2,3,4}> { y = MatMul (x, "fc.weight") }',
    );
    inferModel(model);
    const [site] = findSites(model.graph);
    if (site === undefined) throw new Error("the model has no site");
    const none = { init_lora_weights: "loftq", r: 1, lora_alpha: 0 };
    expect(bindAdapter("lora", none).accepts(site)).toMatch("positive lora_alpha");
    expect(bindAdapter("lora", { ...none, lora_alpha: 1 }).accepts(site)).toBe(true);
  });
});
