/** Source models whose inputs have the names that training graphs use: both are fed what is meant for them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { advance, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-names-"));
afterAll(() => rmSync(folder, { recursive: true }));

const taken = ["step", "lr", "params", "seed", "loss_scale", "good_steps", "grads", "state.m"];

/** A model that adds up its inputs before a layer. */
function text(names: readonly string[]): string {
  const inputs = names.map((name) => `float[n,2] "${name}"`);
  const sums = names
    .slice(1)
    .map((name, i) => `s${i + 1} = Add (${i === 0 ? `"${names[0]}"` : `s${i}`}, "${name}")`);
  return `f (${inputs.join(", ")}) => (float[n,3] logits, float[n,3] loss_of_row) <
    float[2,3] "fc.weight" = {0.1, 0.2, 0.3, -0.1, -0.2, -0.3}
  > {
    ${sums.join("\n")}
    logits = MatMul (s${names.length - 1}, "fc.weight")
    loss_of_row = Exp (logits)
  }`;
}

const plain = taken.map((_, i) => `x${i}`);

async function train(names: readonly string[]): Promise<{ compiled: Compiled; losses: number[] }> {
  const file = join(folder, `${names[0]}.onnx`);
  await writeModel(parseModel(text(names)), file);
  const compiled = compileGraphs(readModel(file), {
    method: {
      name: "lora",
      options: { target_modules: ["fc"], r: 2, lora_dropout: 0.2, init_lora_weights: false },
    },
    precision: "fp16",
    scaling: { scale: 256, interval: 2 },
    task: "seq-cls",
    modulesToSave: [],
  });
  const session = await GraphSession.open(compiled.graphs.train);
  const state = startingState(compiled, "train");
  const losses: number[] = [];
  // Fed by role: what a name says depends on what else has it.
  const byRole = (role: string): string => {
    const input = compiled.graphs.train.graph.inputs.find((value) => roleOf(value) === role);
    if (input === undefined) throw new Error(`no input of role ${role}`);
    return input.name;
  };
  const batch = new Map([
    ...names.map((name, i) => [name, fromNumbers("float32", [2, 2], [i, 1, 2, -i])] as const),
    ["labels", fromNumbers("int64", [2], [2, 0])] as const,
  ]);
  try {
    for (let step = 0; step < 3; step++) {
      const results = await session.run(batch, state, {
        [byRole("hyper")]: fromNumbers("float32", [], [0.1]),
        [byRole("rng")]: new NDArray("uint64", [], BigUint64Array.of(BigInt(step))),
      });
      losses.push(resultOf(results, "loss").numbers[0] ?? Number.NaN);
      advance(state, results);
    }
  } finally {
    await session.close();
  }
  return { compiled, losses };
}

let wanted: number[];
beforeAll(async () => {
  wanted = (await train(plain)).losses;
});

it("trains as with other names", async () => {
  const { losses } = await train(taken);
  expect(new Set(wanted).size).toBe(3);
  expect(losses).toEqual(wanted);
});

it("feeds every state input from its own output, and batches by the names of the source", async () => {
  const { compiled } = await train(taken);
  for (const { graph } of Object.values(compiled.graphs)) {
    const names = graph.inputs.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const output of graph.outputs) {
      const feeds = roleFact(output, "feeds");
      if (feeds === undefined) continue;
      const input = graph.inputs.find(({ name }) => name === feeds);
      expect(["param", "state", "scale"]).toContain(input && roleOf(input));
      expect(input?.tensorType).toEqual(output.tensorType);
    }
    const fields = graph.inputs.filter((input) => roleOf(input) === "batch");
    if (fields.length > 0) expect(fields.map((input) => roleFact(input, "field"))).toEqual(taken);
    for (const input of fields) expect(input.name).toBe(roleFact(input, "field"));
  }
});
