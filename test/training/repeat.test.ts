/** Several steps as one run: the same bits as so many runs, in every precision, with dropout and skipped steps. */
import { describe, expect, it } from "vitest";
import type { CompileRequest } from "../../src/compile/request.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import {
  advance,
  type Batch,
  GraphSession,
  resultOf,
  type State,
  startingState,
} from "../oracle/graph-session.ts";
import { compileModel, firstBatch } from "./oracle-models.ts";

const steps = 3;
const rates = [1e-3, 5e-3, 2e-3];
const method = {
  name: "lora",
  options: { target_modules: ["q_proj", "v_proj"], r: 4, lora_alpha: 8, lora_dropout: 0.1 },
};

/** Batches of one shape: the first one, with its rows' tokens turned round by as many places as the step says. */
function batches(): Batch[] {
  const first = firstBatch("llama");
  return Array.from({ length: steps }, (_, step) => {
    return new Map([...first].map(([field, array]) => [field, rotated(array, step)] as const));
  });
}

function rotated(array: NDArray, by: number): NDArray {
  const numbers = array.toNumbers();
  const moved = numbers.map((_, at) => numbers[(at + by) % numbers.length] ?? 0);
  return fromNumbers(array.dtype, array.shape, moved);
}

function stacked(arrays: readonly NDArray[]): NDArray {
  const [first] = arrays;
  if (first === undefined) throw new Error("nothing to stack");
  const data = arrays.flatMap((array) => Array.from<number | bigint | string>(array.data));
  const shape = [arrays.length, ...first.shape];
  if (first.dtype === "uint64") return new NDArray("uint64", shape, BigUint64Array.from(data, BigInt));
  return fromNumbers(first.dtype, shape, data.map(Number));
}

const seed = (step: number): NDArray => new NDArray("uint64", [], BigUint64Array.of(BigInt(step + 5)));
const rate = (step: number): NDArray => fromNumbers("float32", [], [rates[step] ?? Number.NaN]);

interface Outcome {
  readonly state: State;
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  readonly skipped: readonly number[];
}

async function oneByOne(
  request: CompileRequest,
  changes: Readonly<Record<string, number>>,
): Promise<Outcome> {
  const compiled = compileModel("llama", { ...request, method });
  const session = await GraphSession.open(compiled.graphs.train);
  const state = withChanges(startingState(compiled, "train"), changes);
  const [losses, norms, skipped]: number[][] = [[], [], []];
  try {
    for (const [step, batch] of batches().entries()) {
      const results = await session.run(batch, state, { lr: rate(step), seed: seed(step) });
      losses?.push(resultOf(results, "loss").numbers[0] ?? Number.NaN);
      norms?.push(resultOf(results, "metric", "grad_norm").numbers[0] ?? Number.NaN);
      skipped?.push(resultOf(results, "metric", "skipped").numbers[0] ?? Number.NaN);
      advance(state, results);
    }
  } finally {
    await session.close();
  }
  return { state, losses: losses ?? [], norms: norms ?? [], skipped: skipped ?? [] };
}

async function atOnce(request: CompileRequest, changes: Readonly<Record<string, number>>): Promise<Outcome> {
  const compiled = compileModel("llama", { ...request, method, stepsPerRun: steps });
  const session = await GraphSession.open(compiled.graphs.train);
  const state = withChanges(startingState(compiled, "train"), changes);
  const all = batches();
  const fields = new Map(
    [...(all[0]?.keys() ?? [])].map((field) => [
      field,
      stacked(all.flatMap((batch) => batch.get(field) ?? [])),
    ]),
  );
  const indices = rates.map((_, step) => step);
  try {
    const results = await session.run(fields, state, {
      lr: stacked(indices.map(rate)),
      seed: stacked(indices.map(seed)),
    });
    advance(state, results);
    return {
      state,
      losses: [...resultOf(results, "loss").numbers],
      norms: [...resultOf(results, "metric", "grad_norm").numbers],
      skipped: [...resultOf(results, "metric", "skipped").numbers],
    };
  } finally {
    await session.close();
  }
}

function withChanges(state: State, changes: Readonly<Record<string, number>>): State {
  for (const [name, value] of Object.entries(changes)) {
    const dtype = state.get(name)?.dtype;
    if (dtype === undefined) throw new Error(`there is no state "${name}"`);
    state.set(name, fromNumbers(dtype, [], [value]));
  }
  return state;
}

const requests: Readonly<Record<string, readonly [CompileRequest, Readonly<Record<string, number>>]>> = {
  "in float32": [{ clip: 1 }, {}],
  "in bfloat16": [{ precision: "bf16" }, {}],
  // Too large at first, then fine: the scale that one step leaves is what the next one takes.
  "in float16, with steps skipped": [
    { precision: "fp16", scaling: { interval: 1, backoff: 1 / 32 } },
    { loss_scale: 2 ** 20 },
  ],
};

describe.each(Object.entries(requests))("%s", (name, [request, changes]) => {
  it("gives the bits of so many runs", async () => {
    const wanted = await oneByOne(request, changes);
    const got = await atOnce(request, changes);
    expect(got.losses).toEqual(wanted.losses);
    expect(got.norms).toEqual(wanted.norms);
    expect(got.skipped).toEqual(wanted.skipped);
    expect([...got.state.keys()].sort()).toEqual([...wanted.state.keys()].sort());
    for (const [key, array] of wanted.state) expect(got.state.get(key)?.data, key).toEqual(array.data);
    // Steps differ from each other, so that taking one of them three times would show.
    expect(new Set(wanted.losses).size).toBe(steps);
    if (name.includes("skipped")) {
      expect(wanted.skipped[0]).toBe(1);
      expect(wanted.skipped.at(-1)).toBe(0);
    }
  });
});

describe("the graph of several steps", () => {
  const compiled = compileModel("llama", { method, stepsPerRun: steps });
  const { graph } = compiled.graphs.train;

  it("stacks what a step reads anew, and what it yields anew, on a first axis", () => {
    for (const value of [...graph.inputs, ...graph.outputs]) {
      const role = roleOf(value) ?? "";
      const first = value.tensorType?.shape?.[0];
      if (["batch", "label", "hyper", "rng", "loss", "metric"].includes(role))
        expect(first, value.name).toBe(steps);
      else expect(first === undefined || first !== steps, value.name).toBe(true);
    }
    expect(
      graph.inputs.filter((input) => roleOf(input) === "batch").map((input) => roleFact(input, "field")),
    ).toEqual(["input_ids", "attention_mask"]);
  });

  it("keeps frozen weights outside the body, where they are read from the source's file", () => {
    const [body] = [...graph.nodes()].flatMap((node) => node.subgraphs());
    expect(body?.initializers.size).toBe(0);
    const files = [...graph.initializers].filter(({ initializer }) => initializer?.source.kind === "file");
    expect(files.length).toBeGreaterThan(10);
  });

  it("has one step in every other graph", () => {
    for (const name of ["eval", "grad", "apply"] as const) {
      expect([...compiled.graphs[name].graph.nodes()].some(({ name }) => name === "steps")).toBe(false);
    }
  });
});
