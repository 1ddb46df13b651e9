/** Every method, as it starts by default, takes steps on a real model: finite losses, and values that move. */
import { describe, expect, test } from "vitest";
import { adapters } from "../../passes/adapters/index.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import { roleOf } from "../../src/ir/role.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { advance, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { randomBatch } from "../oracle/random-batch.ts";

const model = readModel("fixtures/oracles/models/llama/model.onnx");

/** What methods cannot do without on so small a model. */
const given: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  bitfit: { modules_to_save: ["norm"] },
  c3a: { block_size: 8 },
  lily: { target_modules: ["q_proj", "v_proj"] },
  shira: { r: 4 },
  "trainable-tokens": { token_indices: [1, 2] },
  vblora: { vector_length: 8 },
};

describe("first steps", () => {
  test.each(adapters.map((adapter) => [adapter.name, adapter] as const))("of %s", async (name, adapter) => {
    const options = given[name] ?? {};
    const takesLayers = adapter.sites.includes("linear") && "target_modules" in adapter.options.shape;
    const compiled = compileGraphs(model, {
      method: { name, options: takesLayers ? { target_modules: "all-linear", ...options } : options },
      task: "causal-lm",
    });
    const { graph } = compiled.graphs.train;
    const batch = randomBatch(graph, { batch: 2, seq: 6, seed: 1 });
    const session = await GraphSession.open(compiled.graphs.train);
    const state = startingState(compiled, "train");
    const trained = graph.inputs.filter((input) => roleOf(input) === "param");
    const before = trained.map(({ name: key }) => state.get(key));
    const scalars = Object.fromEntries(
      graph.inputs.flatMap((input) => {
        if (roleOf(input) === "hyper") return [[input.name, fromNumbers("float32", [], [1e-3])]];
        return roleOf(input) === "rng" ? [[input.name, fromNumbers("uint64", [], [1])]] : [];
      }),
    );
    try {
      for (let step = 0; step < 3; step++) {
        const results = await session.run(batch, state, scalars);
        expect(Number.isFinite(resultOf(results, "loss").numbers[0]), `loss of step ${step + 1}`).toBe(true);
        advance(state, results);
      }
    } finally {
      await session.close();
    }
    trained.forEach(({ name: key }, index) => {
      const [from, to] = [before[index], state.get(key)];
      expect(to?.numbers.every(Number.isFinite), key).toBe(true);
      expect(
        to?.numbers.some((value, i) => value !== from?.numbers[i]),
        key,
      ).toBe(true);
    });
  });
});
