/** Losses and their gradients against torch.nn.functional of PyTorch 2.13 (`cross_entropy`, `mse_loss`, BCE with logits). */
import { describe, expect, it } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleOf } from "../../src/ir/role.ts";
import type { Value } from "../../src/ir/value.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { runModel } from "../harness/runtime.ts";

const scores = [
  ...[0.5, -1.25, 2, 0, 0.75],
  ...[1.5, 0.25, -0.5, 3, -2],
  ...[0, 0, 0, 0, 0],
  ...[-1, 4, 0.5, 0.25, 1.25],
];
const rows = { shape: [4, 5], scores, labels: [2, 0, 4, 1] };
const ignored = { ...rows, labels: [2, -100, 4, 1] };
// The first three rows, then the last three.
const sequences = {
  shape: [2, 3, 5],
  scores: [...scores.slice(0, 15), ...scores.slice(5)],
  labels: [1, 2, -100, 3, 0, 4],
};
const targets = { ...rows, labels: [0, 1, 0.5, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0.25, 0, 0] };
const weights = [0.5, 2, 1, 0.25, 4];

interface LossCase {
  readonly kind: "cross-entropy" | "bce" | "mse";
  readonly options: Readonly<Record<string, unknown>>;
  readonly data: {
    readonly shape: readonly number[];
    readonly scores: readonly number[];
    readonly labels: readonly number[];
  };
  readonly loss: number;
  readonly count: number;
  readonly gradient: readonly number[];
}

const zeros = (count: number): number[] => new Array<number>(count).fill(0);

const cases: Readonly<Record<string, LossCase>> = {
  "cross-entropy": {
    kind: "cross-entropy",
    options: {},
    data: rows,
    loss: 1.0070858,
    count: 4,
    gradient: [
      ...[0.03313005, 0.00575714, -0.101521403, 0.020094391, 0.042539828],
      ...[-0.20786795, 0.01207103, 0.005701951, 0.188822702, 0.001272277],
      ...[0.05, 0.05, 0.05, 0.05, -0.2],
      ...[0.001498146, -0.027655423, 0.006714225, 0.005229043, 0.014214014],
    ],
  },
  "cross-entropy with an ignored label": {
    kind: "cross-entropy",
    options: {},
    data: ignored,
    loss: 0.74923021,
    count: 3,
    gradient: [
      ...[0.044173401, 0.007676186, -0.13536188, 0.026792523, 0.056719773],
      ...zeros(5),
      ...[0.066666663, 0.066666663, 0.066666663, 0.066666663, -0.266666681],
      ...[0.001997528, -0.036873899, 0.0089523, 0.006972058, 0.01895202],
    ],
  },
  "cross-entropy with another ignored label, which is a class": {
    kind: "cross-entropy",
    options: { ignore_index: 4 },
    data: rows,
    loss: 0.80630165,
    count: 3,
    gradient: [
      ...[0.044173401, 0.007676186, -0.13536188, 0.026792523, 0.056719773],
      ...[-0.277157277, 0.016094707, 0.007602601, 0.251763612, 0.00169637],
      ...zeros(5),
      ...[0.001997528, -0.036873899, 0.0089523, 0.006972058, 0.01895202],
    ],
  },
  "cross-entropy with class weights": {
    kind: "cross-entropy",
    options: { class_weights: weights },
    data: rows,
    loss: 1.07780838,
    count: 4,
    gradient: [
      ...[0.017669361, 0.003070475, -0.054144751, 0.010717009, 0.02268791],
      ...[-0.055431459, 0.003218942, 0.00152052, 0.050352722, 0.000339274],
      ...[0.106666669, 0.106666669, 0.106666669, 0.106666669, -0.426666707],
      ...[0.001598022, -0.029499119, 0.00716184, 0.005577647, 0.015161616],
    ],
  },
  "cross-entropy with class weights and an ignored label": {
    kind: "cross-entropy",
    options: { class_weights: weights },
    data: ignored,
    loss: 1.0276053,
    count: 3,
    gradient: [
      ...[0.018931458, 0.003289794, -0.058012232, 0.01148251, 0.024308475],
      ...zeros(5),
      ...[0.114285715, 0.114285715, 0.114285715, 0.114285715, -0.457142889],
      ...[0.001712167, -0.031606197, 0.0076734, 0.00597605, 0.016244588],
    ],
  },
  "cross-entropy with smoothed labels": {
    kind: "cross-entropy",
    options: { label_smoothing: 0.1 },
    data: rows,
    loss: 1.1483357,
    count: 4,
    gradient: [
      ...[0.028130047, 0.000757139, -0.081521399, 0.01509439, 0.037539825],
      ...[-0.187867954, 0.007071029, 0.00070195, 0.183822677, -0.003727723],
      ...[0.045, 0.045, 0.045, 0.045, -0.18],
      ...[-0.003501854, -0.007655439, 0.001714224, 0.000229043, 0.009214012],
    ],
  },
  "cross-entropy with smoothed labels, class weights and an ignored label": {
    kind: "cross-entropy",
    options: { label_smoothing: 0.3, class_weights: weights },
    data: ignored,
    loss: 1.13167024,
    count: 3,
    gradient: [
      ...[0.017769432, -0.013310246, -0.009727112, 0.011234266, -0.005966343],
      ...zeros(5),
      ...[0.088999994, 0.076142855, 0.084714279, 0.091142856, -0.341000021],
      ...[-0.002689119, 0.019812943, -0.001415982, 0.00342981, -0.019137634],
    ],
  },
  "cross-entropy over positions": {
    kind: "cross-entropy",
    options: {},
    data: sequences,
    loss: 2.46179914,
    count: 5,
    gradient: [
      ...[0.02650404, -0.195394292, 0.118782878, 0.016075512, 0.034031864],
      ...[0.033705633, 0.009656824, -0.195438445, 0.151058167, 0.001017822],
      ...zeros(5),
      ...[0.033705633, 0.009656824, 0.004561561, -0.048941839, 0.001017822],
      ...[-0.160000011, 0.039999999, 0.039999999, 0.039999999, 0.039999999],
      ...[0.001198517, 0.177875668, 0.00537138, 0.004183235, -0.188628793],
    ],
  },
  "cross-entropy of the next position": {
    kind: "cross-entropy",
    options: { shift: true },
    data: sequences,
    loss: 1.30370355,
    count: 3,
    gradient: [
      ...[0.044173401, 0.007676186, -0.13536188, 0.026792523, 0.056719773],
      ...zeros(10),
      ...[-0.277157277, 0.016094707, 0.007602601, 0.251763612, 0.00169637],
      ...[0.066666663, 0.066666663, 0.066666663, 0.066666663, -0.266666681],
      ...zeros(5),
    ],
  },
  "binary cross-entropy": {
    kind: "bce",
    options: {},
    data: targets,
    loss: 0.85419953,
    count: 20,
    gradient: [
      ...[0.031122968, -0.038864993, 0.019039851, -0.025, 0.033958934],
      ...[-0.009121278, 0.028108826, 0.018877033, -0.002371293, -0.044039853],
      ...[0.025, -0.025, 0.025, 0.025, -0.025],
      ...[-0.036552928, -0.000899312, 0.018622968, 0.028108826, 0.038864993],
    ],
  },
  "binary cross-entropy of large scores": {
    kind: "bce",
    options: {},
    data: { ...targets, scores: scores.map((value) => value * 30) },
    loss: 13.1454983,
    count: 20,
    gradient: [
      ...[0.049999982, -0.05, 0.025, -0.025, 0.05],
      ...[0, 0.049972359, 1.5e-8, 0, -0.05],
      ...[0.025, -0.025, 0.025, 0.025, -0.025],
      ...[-0.05, 0, 0.037499983, 0.049972359, 0.05],
    ],
  },
  "mean squared error": {
    kind: "mse",
    options: {},
    data: targets,
    loss: 1.96875,
    count: 20,
    gradient: [
      ...[0.05, -0.225, 0.15, -0.1, 0.075],
      ...[0.05, 0.025, -0.05, 0.2, -0.3],
      ...[0, -0.1, 0, 0, -0.1],
      ...[-0.2, 0.3, 0.025, 0.025, 0.125],
    ],
  },
};

/** A model that hands its input on as scores, with a loss and the gradient of it by the scores. */
function lossModel(type: string, kind: string, options: object, logits = ""): Model {
  const model = parseModel(`f (float[${type}] x) => (float[${type}] logits) { logits = Identity (x) }`);
  inferModel(model);
  runPasses(model, [{ pass: "loss", options: { kind, options: JSON.stringify(options), logits } }], {
    verifyEach: true,
  });
  return model;
}

function addGradient(model: Model): Value {
  const { graph, opset } = model;
  const [x] = graph.inputs;
  const loss = graph.outputs.find((output) => roleOf(output) === "loss");
  if (x === undefined || loss === undefined) throw new Error("the model lacks input or loss");
  const one = new OpBuilder({ graph }, opset).scalar(1, "float32");
  const [gradient] = differentiate(graph, [{ value: loss, gradient: one }], [x], opset);
  if (gradient === undefined) throw new Error("no gradient");
  gradient.name = "gradient";
  graph.addOutput(gradient);
  return gradient;
}

function feedsOf(model: Model, data: LossCase["data"]): Map<Value, NDArray> {
  return new Map(
    model.graph.inputs.map((input) => {
      const isLabel = roleOf(input) === "label";
      const dtype = input.tensorType?.dtype ?? "float32";
      const rank = input.tensorType?.shape?.length ?? 0;
      const values = isLabel ? data.labels : data.scores;
      return [input, fromNumbers(dtype, data.shape.slice(0, rank), values)];
    }),
  );
}

describe.each(Object.entries(cases))("%s", (_, { kind, options, data, loss, count, gradient }) => {
  it.each(["numbers", "names"])("with sizes known as %s", async (how) => {
    const names = ["n", "m", "k"].slice(0, data.shape.length);
    const model = lossModel((how === "numbers" ? data.shape : names).join(), kind, options);
    addGradient(model);
    const feeds = feedsOf(model, data);
    for (const results of [
      await runModel(model, feeds),
      evaluateGraph(model.graph, feeds, { opset: model.opset }),
    ]) {
      const [, lossArray, countArray, gradientArray] = results;
      expect(lossArray?.shape).toEqual([]);
      expect(lossArray?.numbers[0]).toBeCloseTo(loss, 5);
      expect(countArray?.toNumbers()).toEqual([count]);
      gradient.forEach((value, i) => expect(gradientArray?.numbers[i]).toBeCloseTo(value, 6));
    }
  });
});

describe("batches without a labelled position", () => {
  it("have loss 0 and gradient 0 instead of 0 / 0", async () => {
    const model = lossModel("4,5", "cross-entropy", { label_smoothing: 0.1 });
    addGradient(model);
    const [, loss, count, gradient] = await runModel(
      model,
      feedsOf(model, { ...rows, labels: [-100, -100, -100, -100] }),
    );
    expect([loss?.numbers[0], count?.numbers[0]]).toEqual([0, 0]);
    expect([...(gradient?.numbers ?? [])].every((value) => value === 0)).toBe(true);
  });
});

describe("binary cross-entropy", () => {
  it("has its slope at scores of exactly 0, such as those of a fresh head", () => {
    const model = lossModel("1,3", "bce", {});
    addGradient(model);
    const feeds = feedsOf(model, { shape: [1, 3], scores: [0, 0, 0], labels: [0, 1, 0.25] });
    const [, loss, , gradient] = evaluateGraph(model.graph, feeds, { opset: model.opset });
    expect(loss?.numbers[0]).toBeCloseTo(Math.LN2, 6);
    [0.5 / 3, -0.5 / 3, 0.25 / 3].forEach((value, i) => expect(gradient?.numbers[i]).toBeCloseTo(value, 6));
  });
});

describe("mean squared error", () => {
  it("takes targets without the last axis where that has size 1", async () => {
    const model = lossModel("4,1", "mse", { squeeze: true });
    const label = model.graph.inputs.find((input) => roleOf(input) === "label");
    expect(label?.tensorType?.shape).toEqual([4]);
    const [, loss] = await runModel(
      model,
      feedsOf(model, { shape: [4, 1], scores: [1, 2, 3, 4], labels: [1, 1, 1, 1] }),
    );
    expect(loss?.numbers[0]).toBe(3.5);
  });
});

describe("the pass", () => {
  const two = `f (float[n,2] x, int64[n] ids) => (float[n,2] hidden, float[n,2] logits, int64[n] same) {
    hidden = Exp (x)
    logits = Neg (x)
    same = Identity (ids)
  }`;
  const add = (options: Record<string, unknown>): Model => {
    const model = parseModel(two);
    inferModel(model);
    runPasses(model, [{ pass: "loss", options }], { verifyEach: true });
    return model;
  };

  it("judges logits by name, and marks what is what", () => {
    const { graph } = add({});
    const roles = [...graph.inputs, ...graph.outputs].map((value) => `${value.name} ${roleOf(value)}`);
    expect(roles).toEqual([
      "x batch",
      "ids batch",
      "labels label",
      "hidden output",
      "logits logits",
      "same output",
      "loss loss",
      "tokens metric",
    ]);
    expect(graph.outputs.at(-1)?.metadata.get("peft.kind")).toBe("tokens");
  });

  it("judges another output that is named", () => {
    const { graph } = add({ logits: "hidden", kind: "mse" });
    expect(graph.outputs.map(roleOf)).toEqual(["logits", "output", "output", "loss", "metric"]);
  });

  it("judges every float output against a target of its own under *", () => {
    const { graph } = add({ logits: "*", kind: "mse" });
    expect(graph.inputs.filter((input) => roleOf(input) === "label").map(({ name }) => name)).toEqual([
      "target.hidden",
      "target.logits",
    ]);
    expect(graph.outputs.map(roleOf)).toEqual(["output", "output", "output", "loss", "metric"]);
  });

  it.each([
    [{ kind: "crossentropy" }, "E_LOSS_UNKNOWN", "did you mean cross-entropy?"],
    [{ logits: "same" }, "E_OUTPUT_NOT_FOUND", "hidden, logits"],
    [{ options: '{"shif": true}' }, "E_UNKNOWN_OPTION", "shift"],
    [{ options: '{"label_smoothing": 2}' }, "E_BAD_OPTION", "label_smoothing"],
  ])("refuses %j", (options, code, words) => {
    expect(() => add(options)).toThrow(DiagnosticError);
    expect(() => add(options)).toThrow(new RegExp(`^${code} `));
    expect(() => add(options)).toThrow(words);
  });

  it("refuses a model without float outputs", () => {
    const model = parseModel("f (int64[n] x) => (int64[n] y) { y = Identity (x) }");
    inferModel(model);
    expect(() => runPasses(model, "loss")).toThrow(/E_NO_OUTPUT/);
  });

  it("shares a label input with the model where it fits, and refuses one that does not", () => {
    const open = (type: string): Model => {
      const model = parseModel(
        `f (float[n,2] x, ${type} labels) => (float[n,2] logits, ${type} same) { logits = Neg (x) same = Identity (labels) }`,
      );
      inferModel(model);
      return model;
    };
    const fitting = open("int64[n]");
    runPasses(fitting, "loss");
    expect(fitting.graph.inputs.map(({ name }) => name)).toEqual(["x", "labels"]);
    expect(fitting.graph.inputs.map(roleOf)).toEqual(["batch", "label"]);
    for (const type of ["float[n]", "int64[n,2]", "int64[4,4]"]) {
      expect(() => runPasses(open(type), "loss")).toThrow(/^E_NAME_TAKEN .*"labels"/);
    }
  });
});
