/** Checks one oracle case: logits, loss, gradients, the training trajectory and merged weights, within the set's tolerances. */
import { join } from "node:path";
import { expect } from "vitest";
import { checkpointTensors } from "../../src/compile/checkpoint-tensors.ts";
import type { Compiled } from "../../src/compile/compile.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { withRole } from "../../src/ir/role.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { fromNumbers, fromTensor, type NDArray } from "../../src/ops/ndarray.ts";
import { readSlices } from "../../src/training/flatten.ts";
import { comparableSteps } from "./built.ts";
import { checkFolder } from "./check-folder.ts";
import { checkMerged } from "./check-merged.ts";
import { expectClose, tolerances } from "./close.ts";
import { compileCase, isOutsideCheckpoint } from "./compile-case.ts";
import { type Batch, GraphSession, resultOf, splitFlat, startingState } from "./graph-session.ts";
import {
  type OracleCase,
  oracleRoot,
  readAliases,
  readArrays,
  readUntouched,
  type TrainRecord,
} from "./oracle-set.ts";
import { batchOf, trainCase, trainedArrays } from "./trajectory.ts";

/** Runs every check that the case has data for. */
export async function checkCase(item: OracleCase): Promise<void> {
  const compiledCase = compileCase(item);
  const { peft, model, compiled, record, full } = compiledCase;
  const aliases = readAliases(item.folder);
  const io = readArrays(join(oracleRoot, "models", item.model, "io.safetensors"));
  const expected = new Map([
    ...readArrays(join(item.folder, "expected.safetensors")),
    ...readArrays(join(item.resultsFolder, "expected.safetensors")),
  ]);
  // Reduced precision is compared by trajectory alone; the set's expected tensors are those of float32.
  if (full) await checkForward(compiled, batchOf(io, "batch0"), expected);
  if (full && [...expected.keys()].some((key) => key.startsWith("grad."))) {
    await checkGradients(compiled, batchOf(io, "batch0"), expected, aliases, item.folder);
  }
  if (record !== undefined) await checkTraining(compiled, io, record, item);
  if (full) await checkMerged(model, compiled, expected);
  await checkCheckpoint(compiled, peft.tensors);
  await checkFolder(item, compiledCase);
}

/** What an exported folder would hold before any training: the tensors of the one that was read. */
async function checkCheckpoint(
  { plan, state }: Compiled,
  wanted: ReadonlyMap<string, Tensor>,
): Promise<void> {
  if (plan.adapter.structure === undefined) return;
  const ofAdapter = new Map([...state.tensors].filter(([key]) => !key.includes("/")));
  const saved = await checkpointTensors(plan.adapter, ofAdapter, runConstantGraph);
  expect([...saved.keys()].sort()).toEqual([...wanted.keys()].sort());
  for (const [key, tensor] of wanted) {
    const own = saved.get(key);
    expectClose(`saved ${key}`, own && fromTensor(own), fromTensor(tensor), tolerances.exact);
  }
}

async function checkForward(
  compiled: Compiled,
  batch: Batch,
  expected: ReadonlyMap<string, NDArray>,
): Promise<void> {
  const session = await GraphSession.open(compiled.graphs.eval);
  try {
    const state = startingState(compiled, "eval");
    const results = await session.run(batch, state);
    expectClose("logits", resultOf(results, "logits"), expected.get("logits"), tolerances.exact);
    if (expected.has("logits.disabled")) {
      // LoRA with zero factors is the base model: what disabling the adapter means.
      const zeros = new Map(
        [...state].map(([name, { dtype, shape, size }]) => [
          name,
          fromNumbers(dtype, shape, new Float64Array(size)),
        ]),
      );
      const base = await session.run(batch, zeros);
      expectClose(
        "logits.disabled",
        resultOf(base, "logits"),
        expected.get("logits.disabled"),
        tolerances.exact,
      );
    }
    if (expected.has("loss"))
      expectClose("loss", resultOf(results, "loss"), expected.get("loss"), tolerances.exact);
  } finally {
    await session.close();
  }
}

async function checkGradients(
  compiled: Compiled,
  batch: Batch,
  expected: ReadonlyMap<string, NDArray>,
  aliases: ReadonlyMap<string, string>,
  folder: string,
): Promise<void> {
  const session = await GraphSession.open(compiled.graphs.grad);
  try {
    const results = await session.run(batch, startingState(compiled, "grad"));
    const [output] = [...results.keys()].filter((value) => value.metadata.get("peft.role") === "grad");
    if (output === undefined) throw new Error("the gradient graph yields no gradient");
    const grads = splitFlat(output, results.get(output) ?? fromNumbers("float32", [0], []));
    const plain = new Map([...aliases].map(([name, reported]) => [reported, name]));
    const wanted = [...expected].flatMap(([key, array]) => {
      const name = key.slice("grad.".length);
      // A tensor that several modules share goes by any of their names.
      const own = grads.has(name) ? name : (plain.get(name) ?? name);
      return key.startsWith("grad.") ? [[own, array] as const] : [];
    });
    const idle = readUntouched(folder);
    const compared = wanted.filter(([key]) => !idle.has(key));
    expect([...grads.keys()].filter((key) => !idle.has(key)).sort()).toEqual(
      compared.map(([key]) => key).sort(),
    );
    for (const key of idle)
      expect(
        grads.get(key)?.numbers.every((value) => value === 0),
        `gradient of ${key} is 0`,
      ).toBe(true);
    for (const [key, array] of compared)
      expectClose(`gradient of ${key}`, grads.get(key), array, tolerances.gradient);
  } finally {
    await session.close();
  }
}

async function checkTraining(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  whole: TrainRecord,
  item: OracleCase,
): Promise<void> {
  const steps = comparableSteps(item.model, item.name);
  const record = { ...whole, ...firstSteps(whole, steps) };
  const { state, losses, norms, scales } = await trainCase(compiled, io, record, item);
  const low = record.amp !== "none";
  const tolerance = low ? tolerances.low : tolerances.training;
  expectClose("losses", vector(losses), vector(record.losses), tolerance);
  if (!low) expectClose("gradient norms", vector(norms), vector(record.grad_norms), tolerance);
  if (record.loss_scales.length > 0) expect(scales).toEqual(record.loss_scales);
  if (steps < whole.batches.length) return;
  const trained = trainedArrays(compiled, state);
  const loose = record.float64_difference?.loose_tensors ?? {};
  // Of a network the set lists only what it makes, which is loose where the network is.
  const isMadeLoose = Object.keys(loose).some((key) => !trained.has(key));
  const wanted = readArrays(join(item.resultsFolder, "trained.safetensors"));
  const withoutGradient = readUntouched(item.folder);
  for (const [key, array] of trained) {
    if (key in loose || (isOutsideCheckpoint(key) && isMadeLoose)) continue;
    // Of a tensor that PEFT cuts down before it saves it, the set holds the whole as well.
    const whole = wanted.get(`full.${key}`) ?? wanted.get(key);
    const decays = withoutGradient.has(key) && !isIdle(compiled, key);
    expectClose(
      `trained ${key}`,
      array,
      decays ? decayed(whole, record) : whole,
      low ? tolerances.low : tolerances.trained,
    );
  }
}

function isIdle({ graphs }: Compiled, key: string): boolean {
  const [param] = withRole(graphs.train.graph.inputs, "param");
  return param !== undefined && readSlices(param).some((slice) => slice.key === key && slice.idle === "true");
}

/** PyTorch leaves alone what no gradient reaches, such as deviations without noise; here weight decay does not. */
function decayed(array: NDArray | undefined, { lr, weight_decay, losses }: TrainRecord): NDArray | undefined {
  const factor = (1 - lr * weight_decay) ** losses.length;
  return (
    array &&
    fromNumbers(
      array.dtype,
      array.shape,
      array.numbers.map((value) => value * factor),
    )
  );
}

function firstSteps(
  { batches, losses, grad_norms: norms }: TrainRecord,
  count: number,
): Pick<TrainRecord, "batches" | "losses" | "grad_norms"> {
  return {
    batches: batches.slice(0, count),
    losses: losses.slice(0, count),
    grad_norms: norms.slice(0, count),
  };
}

function vector(values: readonly number[]): NDArray {
  return fromNumbers("float64", [values.length], values);
}
