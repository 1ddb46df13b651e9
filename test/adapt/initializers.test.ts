/** How adapter tensors start: bounds and moments, and draws that depend on seed and key alone. */
import { describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { orthogonalPair } from "../../passes/adapters/init/orthogonal.ts";
import { attachAdapter } from "../../src/adapt/attach.ts";
import {
  filled,
  type Initializer,
  kaimingUniform,
  normal,
  seedFor,
  uniform,
} from "../../src/adapt/initializers.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { Random } from "../../src/data/random.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";

const draw = (init: Initializer, shape: readonly number[], seed = 1): Float32Array =>
  init(shape, new Random(seed));

describe("initialisers", () => {
  it("fill", () => {
    expect([...draw(filled(0.5), [2, 2])]).toEqual([0.5, 0.5, 0.5, 0.5]);
    expect(draw(filled(0), [0, 3])).toHaveLength(0);
  });

  it("draw uniformly within bounds, both reached", () => {
    const values = draw(uniform(0.25), [100, 100]);
    expect(Math.max(...values)).toBeLessThanOrEqual(0.25);
    expect(Math.max(...values)).toBeGreaterThan(0.249);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-0.25);
    expect(Math.min(...values)).toBeLessThan(-0.249);
    expect(Math.abs(mean(values))).toBeLessThan(0.01);
  });

  it("draw normally with the deviation that is asked for", () => {
    const values = draw(normal(0.1), [100, 100]);
    expect(Math.abs(mean(values))).toBeLessThan(0.005);
    expect(Math.sqrt(mean(values.map((value) => value * value)))).toBeCloseTo(0.1, 2);
  });

  it("draw Kaiming uniformly within 1 / sqrt(fan in): features, or channels times window", () => {
    const bound = (shape: readonly number[], fan?: number): number =>
      Math.max(...draw(kaimingUniform(fan), shape).map(Math.abs));
    expect(bound([50, 16])).toBeLessThanOrEqual(1 / 4);
    expect(bound([50, 16])).toBeGreaterThan(0.99 / 4);
    expect(bound([50, 4, 3, 3])).toBeLessThanOrEqual(1 / 6);
    expect(bound([50, 4, 3, 3])).toBeGreaterThan(0.99 / 6);
    expect(bound([500], 25)).toBeGreaterThan(0.99 / 5);
  });
});

describe("seedFor", () => {
  it("depends on seed and key, and on the order of characters", () => {
    expect(seedFor(1, "a")).toBe(seedFor(1, "a"));
    const seeds = [seedFor(0, ""), seedFor(1, "a"), seedFor(2, "a"), seedFor(1, "ab"), seedFor(1, "ba")];
    expect(new Set(seeds).size).toBe(5);
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
  });

  it("is FNV-1a", () => {
    // Offset basis, and the hash of "a" and "foobar" as the authors of FNV publish them.
    expect(seedFor(0, "")).toBe(0x811c9dc5);
    expect(seedFor(0, "a")).toBe(0xe40c292c);
    expect(seedFor(0, "foobar")).toBe(0xbf9cf968);
  });
});

describe("orthogonal initialisation", () => {
  it.each([
    [2, 5, 3],
    [4, 4, 4],
    [8, 16, 12],
  ])("of rank %i gives factors whose product is zero although neither is", (r, features, outputs) => {
    const [initA, initB] = orthogonalPair(r, features, outputs, "m.q_proj");
    const [A, B] = [draw(initA, [r, features], 3), draw(initB, [outputs, r], 4)];
    expect(Math.max(...A.map(Math.abs))).toBeGreaterThan(0.01);
    expect(Math.max(...B.map(Math.abs))).toBeGreaterThan(0.01);
    for (let i = 0; i < outputs; i++) {
      for (let j = 0; j < features; j++) {
        let sum = 0;
        for (let k = 0; k < r; k++) sum += (B[i * r + k] ?? 0) * (A[k * features + j] ?? 0);
        expect(Math.abs(sum)).toBeLessThan(1e-7);
      }
    }
  });

  it("mixes all of the rank's rows", () => {
    const [initA] = orthogonalPair(4, 6, 6, "m");
    const A = draw(initA, [4, 6], 1);
    for (let k = 0; k < 4; k++)
      expect(A.slice(k * 6, k * 6 + 6).some((value) => Math.abs(value) > 1e-3)).toBe(true);
  });
});

describe("parameters in the graph", () => {
  const text = `f (float[n,4] x) => (float[n,4] y) <
    float[4,4] "a.weight" = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7},
    float[4,4] "b.weight" = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7}
  > { h = MatMul (x, "a.weight") y = MatMul (h, "b.weight") }`;

  function start(seed: number, targets: readonly string[], options: object = {}): Map<string, string> {
    const model = parseModel(text);
    inferModel(model);
    const sites = findSites(model.graph).filter(({ path }) => targets.includes(path));
    attachAdapter(model.graph, bindAdapter("lora", { r: 2, target_modules: ".*", ...options }), sites, {
      opset: 20,
      seed,
    });
    return new Map(
      model.graph.inputs.flatMap(({ name, initializer }) =>
        initializer === undefined ? [] : [[name, String(fromTensor(initializer).numbers)] as const],
      ),
    );
  }

  const key = (path: string, factor: string): string => `base_model.model.${path}.lora_${factor}.weight`;

  it("start the same for the same seed, each time they are read", () => {
    expect(start(3, ["a", "b"])).toEqual(start(3, ["a", "b"]));
  });

  it("start otherwise for another seed, and differ between modules", () => {
    const [one, other] = [start(3, ["a", "b"]), start(4, ["a", "b"])];
    expect(one.get(key("a", "A"))).not.toBe(other.get(key("a", "A")));
    expect(one.get(key("a", "A"))).not.toBe(one.get(key("b", "A")));
  });

  it("do not depend on what is adapted beside them", () => {
    expect(start(3, ["b"]).get(key("b", "A"))).toBe(start(3, ["a", "b"]).get(key("b", "A")));
  });

  it("start as the option says", () => {
    const zeros = String(new Float64Array(8));
    expect(start(3, ["a"]).get(key("a", "B"))).toBe(zeros);
    expect(start(3, ["a"], { init_lora_weights: "gaussian" }).get(key("a", "B"))).toBe(zeros);
    expect(start(3, ["a"], { init_lora_weights: false }).get(key("a", "B"))).not.toBe(zeros);
    expect(start(3, ["a"], { init_lora_weights: "gaussian" }).get(key("a", "A"))).not.toBe(
      start(3, ["a"]).get(key("a", "A")),
    );
  });
});

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
