/** Methods that act around the optimizer's update: state in the graph, equal in one step and in halves, untouched by skipped ones. */
import { describe, expect, it } from "vitest";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import {
  advance,
  GraphSession,
  resultOf,
  type State,
  splitFlat,
  startingState,
} from "../oracle/graph-session.ts";
import { randomBatch } from "../oracle/random-batch.ts";

const model = readModel("fixtures/oracles/models/llama/model.onnx");
const lr = { lr: fromNumbers("float32", [], [0.01]) };
const schedule = { init_r: 3, target_r: 1, total_step: 6, tinit: 1, tfinal: 2 };

function compiled(method: string, options: Readonly<Record<string, unknown>>): Compiled {
  return compileGraphs(model, {
    method: { name: method, options: { target_modules: ["q_proj", "down_proj"], ...options } },
    task: "causal-lm",
  });
}

/** Values of a carried input by key. */
function carried({ graphs }: Compiled, state: State, role: string, end: string): number[] {
  return graphs.apply.graph.inputs.flatMap((input) => {
    if (roleOf(input) !== role || roleFact(input, "slices") === undefined) return [];
    const parts = splitFlat(input, state.get(input.name) ?? fromNumbers("float32", [0], []));
    return [...parts].flatMap(([key, array]) => (key.endsWith(end) ? array.toNumbers() : []));
  });
}

/** The same steps by the whole graph or by its halves. */
async function steps(of: Compiled, count: number, halves: boolean, poison = -1): Promise<State> {
  const state = startingState(of, "apply");
  const batch = randomBatch(of.graphs.grad.graph, { batch: 2, seq: 6, seed: 3 });
  const train = await GraphSession.open(of.graphs.train);
  const grad = await GraphSession.open(of.graphs.grad);
  const apply = await GraphSession.open(of.graphs.apply);
  try {
    for (let step = 0; step < count; step++) {
      if (!halves) {
        advance(state, await train.run(batch, state, lr));
        continue;
      }
      const grads = resultOf(await grad.run(batch, new Map(state)), "grad");
      const numbers = step === poison ? grads.numbers.map(() => Number.NaN) : grads.numbers;
      const [name = ""] = of.graphs.apply.graph.inputs.flatMap((each) =>
        roleOf(each) === "grad" ? each.name : [],
      );
      advance(
        state,
        await apply.run(new Map(), state, { ...lr, [name]: new NDArray("float32", grads.shape, numbers) }),
      );
    }
  } finally {
    for (const session of [train, grad, apply]) await session.close();
  }
  return state;
}

/** Values without the sign of zeros, which the runtime's Where loses. */
function plain(array: NDArray | undefined): number[] {
  return (array?.toNumbers() ?? []).map((value) => value + 0);
}

describe("hooks of updates", () => {
  it("drop singular values down to the budget, and keep them dropped", async () => {
    const adalora = compiled("adalora", schedule);
    const state = await steps(adalora, 5, false);
    const dropped = carried(adalora, state, "state", "lora_E/dropped");
    // Four modules of three values each, of which one each stays.
    expect(dropped).toHaveLength(12);
    expect(dropped.reduce((sum, value) => sum + value, 0)).toBe(8);
    const values = carried(adalora, state, "param", "lora_E");
    expect(values.map((value) => value === 0)).toEqual(dropped.map((value) => value === 1));
    const after = await steps(adalora, 6, false);
    expect(carried(adalora, after, "state", "lora_E/dropped")).toEqual(dropped);
  });

  it.each([
    ["adalora", schedule],
    ["oft", { oft_block_size: 8, coft: true, eps: 1e-3 }],
  ] as const)("of %s are the same in one graph and in two, bit for bit", async (method, options) => {
    const of = compiled(method, options);
    const [whole, halves] = [await steps(of, 4, false), await steps(of, 4, true)];
    for (const [name, array] of whole) expect(plain(halves.get(name)), name).toEqual(plain(array));
  });

  it("do nothing in a step that is skipped", async () => {
    const of = compiled("adalora", schedule);
    const [before, skipped] = [await steps(of, 3, true), await steps(of, 4, true, 3)];
    for (const [name, array] of before) expect(plain(skipped.get(name)), name).toEqual(plain(array));
  });

  it("refuse a schedule that has no step", () => {
    expect(() => compiled("adalora", { ...schedule, tinit: 4 })).toThrow(/tinit \+ tfinal below total_step/);
  });

  it("keep what is used within eps", async () => {
    const of = compiled("oft", { oft_block_size: 8, coft: true, eps: 1e-3 });
    const state = await steps(of, 2, false);
    // The update of the third step starts from rotations cut down; with a rate of 0 they are all that remains.
    const train = await GraphSession.open(of.graphs.train);
    const batch = randomBatch(of.graphs.train.graph, { batch: 2, seq: 6, seed: 3 });
    advance(state, await train.run(batch, state, { lr: fromNumbers("float32", [], [0]) }));
    await train.close();
    const param = of.graphs.train.graph.inputs.find((input) => roleOf(input) === "param");
    if (param === undefined) throw new Error("nothing is trained");
    for (const [key, { numbers, shape }] of splitFlat(
      param,
      state.get(param.name) ?? fromNumbers("float32", [0], []),
    )) {
      const [rows = 0, width = 0] = shape;
      for (let row = 0; row < rows; row++) {
        const length = Math.hypot(...numbers.slice(row * width, (row + 1) * width)) * Math.SQRT2;
        expect(length, key).toBeLessThanOrEqual((1e-3 / Math.sqrt(rows)) * (1 + 1e-5));
        expect(length, key).toBeGreaterThan(0);
      }
    }
  });
});
