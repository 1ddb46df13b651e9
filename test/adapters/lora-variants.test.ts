/** Variants of LoRA where the oracle set has no numbers: formulas by hand, and gradients against central differences. */
import { describe, expect, it } from "vitest";
import { bindAdapter } from "../../passes/adapt.ts";
import { digamma, logGamma } from "../../passes/adapters/parts/gamma.ts";
import { attachAdapter } from "../../src/adapt/attach.ts";
import { takePenalties } from "../../src/adapt/penalty.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { Random } from "../../src/data/random.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleFact, withRole } from "../../src/ir/role.ts";
import { countElements } from "../../src/ir/shape.ts";
import type { Value } from "../../src/ir/value.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";

const opset = 20;
const [inputs, outputs] = [6, 4];

function randomNumbers(count: number, seed: number): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, () => random.normal());
}

const weight = randomNumbers(inputs * outputs, 1).join();
const layer = `f (float[3,${inputs}] x) => (float[3,${outputs}] y) <
  float[${outputs},${inputs}] "fc.weight" = {${weight}}
> { y = Gemm <transB = 1> (x, "fc.weight") }`;

/** A layer adapted as for training, with noise that is the same in every run, and every trained tensor by its short key. */
function adapted(options: Readonly<Record<string, unknown>>, text = layer): Trained {
  const model = parseModel(text);
  inferModel(model);
  const { graph } = model;
  let draws = 0;
  const noise = (b: OpBuilder, kind: "normal" | "uniform", like: Value): Value => {
    const shape = (like.tensorType?.shape ?? []).map(Number);
    draws += 1;
    const values = randomNumbers(countElements(shape), 100 + draws);
    return b.constant(float32Tensor(kind === "normal" ? values : values.map(Math.abs), shape));
  };
  const adapter = bindAdapter("lora", { r: 2, target_modules: ["fc"], ...options });
  attachAdapter(graph, adapter, findSites(graph), { opset, seed: 0, dropout: (_, x) => x, noise });
  const penalty = takePenalties(graph);
  const params = new Map(
    withRole(graph.inputs, "param").map((input, i) => {
      const shape = (input.tensorType?.shape ?? []).map(Number);
      const values = new NDArray("float32", shape, Float64Array.from(randomNumbers(countElements(shape), i)));
      return [String(roleFact(input, "key")).replace("base_model.model.fc.", ""), { input, values }] as const;
    }),
  );
  return { model, penalty, params };
}

interface Trained {
  readonly model: Model;
  readonly penalty: readonly Value[];
  readonly params: ReadonlyMap<string, { readonly input: Value; readonly values: NDArray }>;
}

const data = new NDArray("float32", [3, inputs], Float64Array.from(randomNumbers(3 * inputs, 7)));

/** Sum of the sines of all outputs, the penalties, and the gradient of both by each trained tensor. */
function lossAndGradients({ model, penalty, params }: Trained): {
  loss: (change?: { key: string; at: number; by: number }) => number;
  penalty: () => number;
  gradients: ReadonlyMap<string, Float64Array>;
} {
  const { graph } = model;
  const b = new OpBuilder({ graph }, opset);
  const [y] = graph.outputs;
  if (y === undefined) throw new Error("no output");
  const zero = b.scalar(0, "float32");
  const extra = penalty.reduce((sum, term) => b.add(sum, term), b.add(zero, zero));
  const loss = b.add(b.reduceSum(b.op("Sin", [y]), undefined, false), extra);
  const variables = [...params.values()].map(({ input }) => input);
  const grads = differentiate(graph, [{ value: loss, gradient: b.scalar(1, "float32") }], variables, opset);
  graph.setOutputs([loss, extra, ...grads.map((grad, i) => grad ?? b.zerosLike(variables[i] ?? loss))]);
  const run = (change?: { key: string; at: number; by: number }): NDArray[] => {
    const feeds = new Map(
      [...params].map(([key, { input, values }]) => {
        const moved = Float64Array.from(values.numbers);
        if (change?.key === key) moved[change.at] = (moved[change.at] ?? 0) + change.by;
        return [input, new NDArray("float32", values.shape, moved)] as const;
      }),
    );
    const x = graph.inputs.find(({ name }) => name === "x");
    if (x !== undefined) feeds.set(x, data);
    return evaluateGraph(graph, feeds, { opset, exact: true });
  };
  const [, , ...results] = run();
  return {
    loss: (change) => run(change)[0]?.toNumbers()[0] ?? Number.NaN,
    penalty: () => run()[1]?.toNumbers()[0] ?? Number.NaN,
    gradients: new Map(
      [...params.keys()].map((key, i) => [key, Float64Array.from(results[i]?.numbers ?? [])]),
    ),
  };
}

describe("variants of LoRA", () => {
  it.each([
    ["kasa_config", { kasa_config: { beta: 0.3, gamma: 0.2 }, auxiliary_loss: true }],
    ["monteclora_config", { monteclora_config: { num_samples: 3, sample_scaler: 0.5 } }],
    [
      "monteclora_config with its loss",
      {
        monteclora_config: { num_samples: 3, sample_scaler: 0.5, kl_loss_weight: 0.1 },
        auxiliary_loss: true,
      },
    ],
    ["use_bdlora", { use_bdlora: { target_modules_bd_a: ["fc"], nblocks: 2 } }],
    ["use_dora with pissa", { use_dora: true, init_lora_weights: "pissa" }],
  ])("have the gradient of what they compute: %s", (_, options) => {
    const trained = adapted(options);
    // What DoRA detaches has no gradient: the magnitudes alone are compared.
    const detached = "use_dora" in options;
    const { loss, gradients } = lossAndGradients(trained);
    const step = 1e-5;
    for (const [key, gradient] of gradients) {
      if (detached && !key.includes("magnitude")) continue;
      gradient.forEach((value, at) => {
        const slope = (loss({ key, at, by: step }) - loss({ key, at, by: -step })) / (2 * step);
        expect(value).toBeCloseTo(slope, 5);
      });
    }
    expect([...gradients.values()].some((gradient) => gradient.some((value) => Math.abs(value) > 1e-3))).toBe(
      true,
    );
  });

  it("weigh KaSA's values and its factors' distance from orthogonality", () => {
    const { params } = adapted({ kasa_config: {} });
    const of = (key: string): ArrayLike<number> => params.get(key)?.values.numbers ?? [];
    const [A, B, diag] = [of("lora_A.weight"), of("lora_B.weight"), of("lora_diag")];
    const distance = (dot: (i: number, j: number) => number): number =>
      Math.hypot(...[0, 1].flatMap((i) => [0, 1].map((j) => dot(i, j) - (i === j ? 1 : 0))));
    const sum = (count: number, term: (k: number) => number): number =>
      Array.from({ length: count }, (_, k) => term(k)).reduce((all, each) => all + each, 0);
    const ofA = distance((i, j) => sum(inputs, (k) => (A[i * inputs + k] ?? 0) * (A[j * inputs + k] ?? 0)));
    const ofB = distance((i, j) => sum(outputs, (k) => (B[k * 2 + i] ?? 0) * (B[k * 2 + j] ?? 0)));
    const squares = sum(2, (k) => (diag[k] ?? 0) ** 2);
    const wanted = 0.5 * squares + 0.25 * (ofA + ofB);
    const given = adapted({ kasa_config: { beta: 0.5, gamma: 0.25 }, auxiliary_loss: true });
    expect(lossAndGradients(given).penalty()).toBeCloseTo(wanted, 5);
    expect(given.penalty.length).toBe(1);
    expect(adapted({ kasa_config: {} }).penalty.length).toBe(0);
  });

  it("weigh the divergence of MonteCLoRA's distributions from their priors", () => {
    const config = { num_samples: 3, dirichlet_prior: 0.3, kl_loss_weight: 1, use_entropy: false };
    const given = adapted({ monteclora_config: config, auxiliary_loss: true });
    const set = (name: string, values: readonly number[]): void => {
      const elements = given.params.get(`lora_monteclora_sampler.${name}`)?.values.numbers;
      if (elements instanceof Float64Array) elements.set(values);
      else throw new Error("float64 expected");
    };
    const logs = [0.2, -0.4];
    set("expert_weights_prior", [0.5, 1.5, 2].map(Math.log));
    set("std_prior", logs);
    // The noise is drawn for the variances first.
    const drawn = randomNumbers(4, 101);
    const variances = logs.map(
      (log, i) => Math.exp(2 * log) * ((drawn[2 * i] ?? 0) ** 2 + (drawn[2 * i + 1] ?? 0) ** 2),
    );
    const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);
    // torch.distributions.kl_divergence of Dirichlet(0.5, 1.5, 2) from Dirichlet(0.3, 0.3, 0.3).
    const dirichlet = 1.0370490697569044;
    const wishart = 0.5 * (2 * (sum(logs.map((log) => Math.exp(2 * log))) - 2 * sum(logs)) - 4);
    const normal = 0.5 * 3 * (sum(variances) - sum(variances.map(Math.log)) - 2);
    expect(lossAndGradients(given).penalty()).toBeCloseTo(dirichlet + wishart + normal, 4);
  });

  it.each([
    ["groups that fit", 3, 1.5],
    ["a last group that is not full", 4, 1],
  ])("train A by inputs compressed to a number for each group: %s", (_, groups, scale) => {
    const given = adapted({
      velora_config: { num_groups: groups, scale, init_type: "batch_average" },
      lora_alpha: 3,
    });
    const of = (key: string): ArrayLike<number> => given.params.get(key)?.values.numbers ?? [];
    const [A, B, W, x] = [
      of("lora_A.weight"),
      of("lora_B.weight"),
      weight.split(",").map(Number),
      data.numbers,
    ];
    const at = (matrix: ArrayLike<number>, row: number, column: number, columns: number): number =>
      matrix[row * columns + column] ?? 0;
    const range = (count: number): number[] => Array.from({ length: count }, (_each, i) => i);
    const sum = (count: number, term: (i: number) => number): number =>
      range(count).reduce((all, i) => all + term(i), 0);
    const down = (t: number, k: number): number =>
      sum(inputs, (i) => at(x, t, i, inputs) * at(A, k, i, inputs));
    const y = (t: number, o: number): number =>
      sum(inputs, (i) => at(x, t, i, inputs) * at(W, o, i, inputs)) +
      1.5 * sum(2, (k) => down(t, k) * at(B, o, k, 2));
    // The direction is the mean of all groups, each of `size` features.
    const size = Math.ceil(inputs / groups);
    const part = (t: number, g: number, i: number): number =>
      g * size + i < inputs ? at(x, t, g * size + i, inputs) : 0;
    const mean = range(size).map((i) => sum(3, (t) => sum(groups, (g) => part(t, g, i))) / (3 * groups));
    const direction = mean.map((value) => value / Math.hypot(...mean));
    const restored = (t: number, i: number): number => {
      const g = Math.floor(i / size);
      return scale * sum(size, (k) => part(t, g, k) * (direction[k] ?? 0)) * (direction[i % size] ?? 0);
    };
    const wanted = range(2 * inputs).map((index) => {
      const [k, i] = [Math.floor(index / inputs), index % inputs];
      const ofDown = (t: number): number => 1.5 * sum(outputs, (o) => Math.cos(y(t, o)) * at(B, o, k, 2));
      return sum(3, (t) => ofDown(t) * restored(t, i));
    });
    const { gradients } = lossAndGradients(given);
    const gradient = gradients.get("lora_A.weight") ?? new Float64Array();
    expect(gradient.length).toBe(wanted.length);
    wanted.forEach((value, index) => {
      expect(gradient[index]).toBeCloseTo(value, 5);
    });
  });

  it("read means of groups of inputs on quantised weights", () => {
    const text = `f (float[3,6] x) => (float[3,2] y) <
      int8[6,2] "fc.packed" = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, float scale = {0}
    > { w = DequantizeLinear ("fc.packed", scale) y = MatMul (x, w) }`;
    const options = {
      use_qalora: true,
      qalora_group_size: 3,
      r: 1,
      lora_alpha: 2,
      target_modules: "all-linear",
    };
    const model = parseModel(text);
    inferModel(model);
    const { graph } = model;
    const adapter = bindAdapter("lora", options);
    attachAdapter(graph, adapter, findSites(graph), { opset, seed: 0 });
    const feeds = new Map(
      withRole(graph.inputs, "param").map((input) => {
        const isA = String(roleFact(input, "key")).includes("lora_A");
        expect(input.tensorType?.shape).toEqual(isA ? [1, 2] : [2, 1]);
        return [input, fromNumbers("float32", isA ? [1, 2] : [2, 1], isA ? [10, 1] : [1, -1])] as const;
      }),
    );
    const x = graph.inputs.find(({ name }) => name === "x");
    if (x === undefined) throw new Error("no input");
    const rows = [1, 2, 3, 4, 5, 6, 0, 0, 3, 0, 0, 0, 0, 0, 0, 3, 0, 0];
    feeds.set(x, fromNumbers("float32", [3, 6], rows));
    const [y] = evaluateGraph(graph, feeds, { opset });
    // Means (2, 5), (1, 0) and (0, 1), times 2 groups, times A = (10, 1), times 2.
    expect(y?.toNumbers()).toEqual([100, -100, 40, -40, 4, -4]);
  });

  it.each([
    [
      "one token",
      [5],
      [
        [1, 5, 5, 2],
        [1, 2, 3, 4],
        [5, 0, 0, 0],
      ],
      [
        [0, 0, 1, 1],
        [0, 0, 0, 0],
        [1, 1, 1, 1],
      ],
    ],
    [
      "two tokens",
      [5, 2],
      [
        [5, 2, 5, 2],
        [5, 5, 2, 0],
        [2, 5, 0, 5],
      ],
      [
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [0, 0, 0, 0],
      ],
    ],
    ["more tokens than a row has", [1, 2, 3, 4, 5], [[1, 2, 3, 4]], [[0, 0, 0, 0]]],
  ])("adapt a row behind its last invocation: %s", (_, tokens, rows, wanted) => {
    const model = parseModel(`f (int64[${rows.length},4] ids) => (float[${rows.length},4,1] y) <
      float[6,1] "embed.weight" = {0, 0, 0, 0, 0, 0}, float[1,1] "fc.weight" = {1}
    > { e = Gather ("embed.weight", ids) one = Cos (e) y = MatMul (one, "fc.weight") }`);
    inferModel(model);
    const { graph } = model;
    const adapter = bindAdapter("lora", {
      r: 1,
      lora_alpha: 1,
      target_modules: ["fc"],
      alora_invocation_tokens: tokens,
    });
    const sites = findSites(graph).filter(({ path }) => path === "fc");
    attachAdapter(graph, adapter, sites, { opset, seed: 0 });
    const feeds = new Map(
      graph.inputs.map((input) => [
        input,
        input.name === "ids"
          ? fromNumbers("int64", [rows.length, 4], rows.flat())
          : fromNumbers("float32", [1, 1], [1]),
      ]),
    );
    const [y] = evaluateGraph(graph, feeds, { opset });
    expect(y?.toNumbers()).toEqual(wanted.flat().map((mask) => 1 + mask));
  });

  it.each([
    [0.05, 2.968879201051731, -20.49784499129987],
    [0.7, 0.2608672465316669, -1.2200235536979347],
    [3.7, 1.4280723266653883, 1.1671535393615111],
    [40, 106.63176026064346, 3.6763273740348428],
  ])("know the gamma function at %s", (x, logarithm, derivative) => {
    const graph = new Graph("gamma");
    const b = new OpBuilder({ graph }, opset);
    const value = b.scalar(x, "float32");
    graph.addOutput(logGamma(value, b));
    graph.addOutput(digamma(value, b));
    const [first, second] = evaluateGraph(graph, new Map(), { opset, exact: true });
    expect(first?.toNumbers()[0]).toBeCloseTo(logarithm, 5);
    expect(second?.toNumbers()[0]).toBeCloseTo(derivative, 4);
  });
});
