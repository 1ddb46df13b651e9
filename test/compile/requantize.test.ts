/** Merging into quantised weights: numbers that mean the old weight stay, others are the nearest, and the loss is what it is said to be. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { basePath } from "../../src/adapt/select.ts";
import { findSites, type Site } from "../../src/analysis/sites.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import type { RoundingLoss } from "../../src/compile/requantize.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";

const files = [
  "bert-dynamic",
  "bert-qdq",
  "bert-qoperator",
  "llama-8bits",
  "llama-int4-qdq",
  "llama-nbits",
  "llama-nf4",
  "smallconv-dynamic",
  "smallconv-qdq",
] as const;

function compiledFrom(source: Model): Compiled {
  return compileGraphs(source, {
    method: {
      name: "lora",
      options: { target_modules: "all-linear", modules_to_save: null, r: 2, lora_alpha: 2 },
    },
    optimizer: { name: "adamw", options: {} },
    task: "auto",
  });
}

/** Merges with every B filled with one number. */
async function merged(source: Model, compiled: Compiled, filling: number): Promise<[Model, RoundingLoss[]]> {
  const losses: RoundingLoss[] = [];
  const tensors = new Map<string, Tensor>();
  for (const [key, tensor] of compiled.state.tensors) {
    if (!compiled.parameterKeys.has(key)) continue;
    const filled = float32Tensor(new Array<number>(tensor.size).fill(filling), tensor.dims);
    tensors.set(key, /lora_(embedding_)?B/.test(key) ? filled : tensor);
  }
  const model = await mergeModel(source, {
    adapter: compiled.plan.adapter,
    paths: compiled.plan.sites.map(basePath),
    tensors,
    run: runConstantGraph,
    requantize: (loss) => losses.push(loss),
  });
  return [model, losses];
}

function sitesOf(model: Model, compiled: Compiled): Site[] {
  const prepared = cloneModel(model);
  runPasses(prepared, preparePipeline);
  const wanted = new Set(compiled.plan.sites.map(basePath));
  return findSites(prepared.graph).filter((site) => wanted.has(basePath(site)) && site.weight.quantized);
}

/** Bytes by name; what opening quantised products adds has names of its own. */
const bytesOf = ({ graph }: Model): Map<string, number[]> =>
  new Map([...graph.initializers].map(({ name, initializer }) => [name, [...(initializer?.bytes() ?? [])]]));

describe.each(files)("%s", (name) => {
  const source = readModel(join("fixtures/quantized", `${name}.onnx`));
  const compiled = compiledFrom(source);

  it("keeps every number where nothing was added", async () => {
    const [model, losses] = await merged(source, compiled, 0);
    expect(losses.length).toBeGreaterThan(0);
    for (const { update, error, weight, path } of losses) {
      expect(update, path).toBeLessThanOrEqual(1e-6 * weight);
      expect(error, path).toBeLessThanOrEqual(1e-6 * weight);
    }
    // What a table means twice, such as 0 and -0, may be said by either number.
    if (name === "llama-nf4") return;
    const after = bytesOf(model);
    for (const [key, bytes] of bytesOf(source)) expect(after.get(key), key).toEqual(bytes);
  });

  it("takes the nearest number, and says what that loses", async () => {
    const [model, losses] = await merged(source, compiled, 0.2);
    const before = sitesOf(source, compiled);
    for (const [index, site] of sitesOf(model, compiled).entries()) {
      const old = before[index];
      const loss = losses.find(({ path }) => path === site.path);
      if (old === undefined || loss === undefined) throw new Error(`"${site.path}" was not merged`);
      const [was, is] = [weightElements(old), weightElements(site)];
      const wanted = was.map((value, i) => value + deltaAt(site, compiled, i));
      const off = (values: Float32Array): number[] =>
        Array.from(values, (value, i) => Math.abs(value - (wanted[i] ?? 0)));
      const [now, then] = [off(is), off(was)];
      now.forEach((distance, i) => {
        if (distance > (then[i] ?? 0) + 1e-5)
          expect.fail(`${site.path}: element ${i} moved away by ${distance}`);
      });
      expect(Math.hypot(...now)).toBeCloseTo(loss.error, 4);
      expect(Math.hypot(...then)).toBeCloseTo(loss.update, 4);
      expect(loss.error).toBeLessThan(loss.update);
    }
  });
});

/** What `0.2 * ones * A` adds to element `i`: 0.2 times the sum of a column of A. */
function deltaAt(site: Site, { state }: Compiled, i: number): number {
  const tensor = state.tensors.get(`base_model.model.${basePath(site)}.lora_A.weight`);
  if (tensor === undefined) throw new Error(`no A of "${site.path}"`);
  const { numbers, shape } = fromTensor(tensor);
  const [rank = 1] = shape;
  const columns = numbers.length / rank;
  let sum = 0;
  for (let row = 0; row < rank; row++) sum += numbers[row * columns + (i % columns)] ?? 0;
  return 0.2 * sum;
}
