/** Models that were written to generate text train as the same models without caches do. */
import { describe, expect, test } from "vitest";
import { basePath } from "../../src/adapt/select.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { Random } from "../../src/data/random.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleOf } from "../../src/ir/role.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { difference } from "../harness/compare.ts";
import { type Batch, GraphSession, resultOf, type State, startingState } from "../oracle/graph-session.ts";

const plain = "fixtures/models/stories260k/model.onnx";
const generating = "fixtures/models/stories260k-genai/model.onnx";

/** The modules that bear the same names in both files, in execution order. */
const targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

function compiled(model: Model, options: Readonly<Record<string, unknown>> = {}): Compiled {
  return compileGraphs(model, {
    method: { name: "lora", options: { r: 4, target_modules: targets, ...options } },
    task: "causal-lm",
  });
}

/** Two rows of ids, the second with padding behind it. */
function textBatch(): Batch {
  const random = new Random(3);
  const [rows, length, kept] = [2, 12, 9];
  const ids = Array.from({ length: rows * length }, () => random.below(500) + 3);
  const mask = ids.map((_, i) => (i < length + kept ? 1 : 0));
  const labels = ids.map((id, i) => (mask[i] === 1 ? id : -100));
  const field = (numbers: number[]): NDArray => fromNumbers("int64", [rows, length], numbers);
  return new Map([
    ["input_ids", field(ids)],
    ["attention_mask", field(mask)],
    ["labels", field(labels)],
  ]);
}

async function run(
  model: Compiled,
  name: "eval" | "grad",
  state = moved(model, name),
): Promise<{ logits?: NDArray; loss: number; grad?: NDArray }> {
  const session = await GraphSession.open(model.graphs[name]);
  try {
    const results = await session.run(textBatch(), state);
    const loss = resultOf(results, "loss").numbers[0] ?? Number.NaN;
    return name === "eval"
      ? { logits: resultOf(results, "logits"), loss }
      : { grad: resultOf(results, "grad"), loss };
  } finally {
    await session.close();
  }
}

/** Parameters off their start, the same in both models whatever their keys. */
function moved(model: Compiled, name: "eval" | "grad"): State {
  const state = startingState(model, name);
  const random = new Random(5);
  for (const input of model.graphs[name].graph.inputs) {
    const array = state.get(input.name);
    if (roleOf(input) !== "param" || array === undefined) continue;
    const values = array.numbers.map(() => Math.fround(0.05 * random.normal()));
    state.set(input.name, new NDArray("float32", array.shape, values));
  }
  return state;
}

describe("a model with caches, packed projections and the runtime's attention", () => {
  const [expected, actual] = [compiled(readModel(plain)), compiled(readModel(generating))];

  test("says what was dropped", () => {
    expect(actual.remarks.join()).toMatch("without 10 inputs for caches");
    expect(actual.graphs.train.graph.inputs.map(({ name }) => name)).not.toContain("past_key_values.0.key");
  });

  test("gives the logits of the model without", async () => {
    const [wanted, got] = [await run(expected, "eval"), await run(actual, "eval")];
    expect(got.loss).toBeCloseTo(wanted.loss, 5);
    if (wanted.logits === undefined || got.logits === undefined) throw new Error("no logits");
    expect(difference(got.logits, wanted.logits, { absolute: 1e-4, relative: 0 })).toBeUndefined();
  });

  test("gives its adapters the gradients of the model without", async () => {
    const [wanted, got] = [await run(expected, "grad"), await run(actual, "grad")];
    if (wanted.grad === undefined || got.grad === undefined) throw new Error("no gradient");
    const largest = Math.max(...wanted.grad.numbers.map(Math.abs));
    expect(largest).toBeGreaterThan(1e-3);
    expect(difference(got.grad, wanted.grad, { absolute: 1e-5 * largest, relative: 0 })).toBeUndefined();
  });

  test("gives methods that read weights the rows of their module", async () => {
    const [wanted, got] = await Promise.all(
      [plain, generating].map((file) => run(compiled(readModel(file), { use_dora: true }), "eval")),
    );
    if (wanted?.logits === undefined || got?.logits === undefined) throw new Error("no logits");
    expect(difference(got.logits, wanted.logits, { absolute: 1e-4, relative: 0 })).toBeUndefined();
  });

  test("is merged into its own graph, caches and packed weights included", async () => {
    const source = readModel(generating);
    const trained = compiled(source, { init_lora_weights: false });
    const merged = await mergeModel(source, {
      adapter: trained.plan.adapter,
      paths: trained.plan.sites.map(basePath),
      tensors: new Map([...trained.state.tensors].filter(([key]) => trained.parameterKeys.has(key))),
      run: runConstantGraph,
    });
    const kinds = ({ graph }: Model): string[] =>
      [...graph.nodes()].map(({ op }) => op).filter((op) => op !== "Constant");
    expect(kinds(merged)).toEqual(kinds(source));
    const wanted = await run(trained, "eval", startingState(trained, "eval"));
    // Adapters that add nothing show the merged model itself.
    const shown = compiled(merged);
    const got = await run(shown, "eval", startingState(shown, "eval"));
    if (wanted.logits === undefined || got.logits === undefined) throw new Error("no logits");
    expect(difference(got.logits, wanted.logits, { absolute: 1e-4, relative: 0 })).toBeUndefined();
  });
});
