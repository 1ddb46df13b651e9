/**
 * Methods that train parameters of the base model alone. Losses and gradient norms are those of transformers 5 and PyTorch 2.13 on
 * the set's models and batches: AdamW with lr 1e-3 and weight decay 0.01, gradients cut down to norm 1.
 */
import { describe, expect, it } from "vitest";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, fromTensor, type NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { expectClose, tolerances } from "../oracle/close.ts";
import { advance, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { readArrays } from "../oracle/oracle-set.ts";
import { randomBatch } from "../oracle/random-batch.ts";

const root = "fixtures/oracles/models";

async function trained(compiled: Compiled, model: string): Promise<{ losses: number[]; norms: number[] }> {
  const io = readArrays(`${root}/${model}/io.safetensors`);
  const session = await GraphSession.open(compiled.graphs.train);
  const state = startingState(compiled, "train");
  const [losses, norms]: [number[], number[]] = [[], []];
  try {
    for (let step = 0; step < 4; step++) {
      const prefix = `batch${step}.`;
      const batch = new Map<string, NDArray>();
      for (const [key, array] of io) if (key.startsWith(prefix)) batch.set(key.slice(prefix.length), array);
      const results = await session.run(batch, state, { lr: fromNumbers("float32", [], [1e-3]) });
      losses.push(resultOf(results, "loss").numbers[0] ?? Number.NaN);
      norms.push(resultOf(results, "metric", "grad_norm").numbers[0] ?? Number.NaN);
      advance(state, results);
    }
  } finally {
    await session.close();
  }
  return { losses, norms };
}

const cases = [
  {
    method: "full",
    model: "llama",
    task: "causal-lm",
    tensors: 21,
    elements: 23712,
    losses: [4.838917, 4.679507, 5.292418, 5.137407],
    norms: [9.557875, 5.333178, 5.880786, 5.280735],
  },
  {
    method: "full",
    model: "bert",
    task: "seq-cls",
    tensors: 41,
    elements: 22435,
    losses: [2.041643, 1.189088, 1.033966, 1.293503],
    norms: [11.204685, 3.353745, 5.712277, 3.715704],
  },
  {
    method: "bitfit",
    model: "bert",
    task: "seq-cls",
    tensors: 19,
    elements: 611,
    losses: [2.041643, 1.136723, 1.082117, 1.372834],
    norms: [3.259067, 0.781686, 1.605394, 0.995988],
  },
] as const;

describe.each(["model.onnx", "model-dynamo.onnx", "model-unfolded.onnx"])("%s", (file) => {
  it.each(cases)("$method on $model trains as PyTorch does", async ({ method, model, task, ...wanted }) => {
    const compiled = compileGraphs(readModel(`${root}/${model}/${file}`), {
      method: { name: method, options: {} },
      task,
      modulesToSave: [],
      optimizer: { name: "adamw", options: { lr: 1e-3, weight_decay: 0.01 } },
      clip: 1,
    });
    const parameters = [...compiled.parameterKeys].map((key) => compiled.state.tensors.get(key));
    expect(parameters).toHaveLength(wanted.tensors);
    expect(parameters.reduce((sum, tensor) => sum + (tensor?.size ?? 0), 0)).toBe(wanted.elements);
    const { losses, norms } = await trained(compiled, model);
    wanted.losses.forEach((loss, i) =>
      expect(Math.abs((losses[i] ?? 0) - loss)).toBeLessThan(1e-4 + 1e-4 * loss),
    );
    wanted.norms.forEach((norm, i) =>
      expect(Math.abs((norms[i] ?? 0) - norm)).toBeLessThan(1e-4 + 1e-4 * norm),
    );
  });
});

it.each(["full", "bitfit"])("%s merges by writing what was trained", async (name) => {
  const source = readModel(`${root}/bert/model.onnx`);
  const compiled = compileGraphs(source, {
    method: { name, options: {} },
    task: "seq-cls",
    modulesToSave: [],
  });
  // Every trained element a little larger, in the state of the graph and in what is merged.
  const state = startingState(compiled, "eval");
  for (const [key, array] of state)
    state.set(
      key,
      fromNumbers(
        "float32",
        array.shape,
        array.numbers.map((value) => value * 1.25),
      ),
    );
  const tensors = new Map(
    [...compiled.parameterKeys].map((key) => {
      const tensor = compiled.state.tensors.get(key);
      const values = fromTensor(tensor ?? float32Tensor([], [0])).toNumbers();
      return [
        key,
        float32Tensor(
          values.map((value) => value * 1.25),
          [...(tensor?.dims ?? [])],
        ),
      ] as const;
    }),
  );
  const merged = await mergeModel(source, {
    adapter: compiled.plan.adapter,
    paths: [],
    tensors,
    run: runConstantGraph,
  });
  const batch = randomBatch(compiled.graphs.eval.graph, { batch: 2, seq: 5, seed: 2 });
  const session = await GraphSession.open(compiled.graphs.eval);
  const wanted = resultOf(await session.run(batch, state), "logits");
  const base = resultOf(await session.run(batch, startingState(compiled, "eval")), "logits");
  await session.close();
  const feeds = new Map(
    merged.graph.inputs.flatMap((input) => {
      const array = batch.get(input.name);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const [logits] = await runModel(merged, feeds);
  expectClose("merged logits", logits, wanted, tolerances.exact);
  expect(
    Math.max(...base.numbers.map((value, i) => Math.abs(value - (wanted.numbers[i] ?? 0)))),
  ).toBeGreaterThan(0.01);
});

it("refuses biases of a model without any", () => {
  const model = readModel(`${root}/llama/model.onnx`);
  expect(() => compileGraphs(model, { method: { name: "bitfit", options: {} }, task: "causal-lm" })).toThrow(
    /^E_NO_PARAMETERS .*bitfit/s,
  );
});

it("says that a tied output layer is trained apart", () => {
  const model = readModel(`${root}/gpt2/model.onnx`);
  const { remarks } = compileGraphs(model, { method: { name: "full", options: {} }, task: "causal-lm" });
  expect(remarks).toContain("lm_head starts with the table of transformer.wte and is trained apart from it");
});
