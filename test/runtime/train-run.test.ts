/** Runs that are broken off and go on: the same bits as an undisturbed run, and never a torn file. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assembleBatch, type Dataset } from "../../src/data/batch.ts";
import { tokenFieldNames, tokenFields } from "../../src/data/tokens.ts";
import { Artifact } from "../../src/runtime/artifact.ts";
import { latestCheckpoint, removeUnfinished } from "../../src/runtime/checkpoint.ts";
import { wantedFields } from "../../src/runtime/graph-ports.ts";
import { lockArtifact } from "../../src/runtime/lock.ts";
import { openData } from "../../src/runtime/open-data.ts";
import type { RunResult, TrainRunOptions } from "../../src/runtime/run-options.ts";
import { trainArtifact } from "../../src/runtime/train-run.ts";
import { Trainer } from "../../src/runtime/trainer.ts";
import { makeArtifact } from "./artifact.ts";

function train(folder: string, options: Partial<TrainRunOptions> = {}): Promise<RunResult> {
  const artifact = Artifact.open(folder);
  const { dataset } = openData(artifact, { data: ["random"], axes: { seq: 5 } });
  return trainArtifact({
    artifact: folder,
    dataset,
    wanted: wantedFields(artifact.manifest),
    batch: 2,
    steps: 8,
    threads: 1,
    ...options,
  });
}

function finalState(folder: string): Buffer {
  return readFileSync(join(folder, "checkpoints/step-8/state.safetensors"));
}

it("goes on bit for bit after it was stopped, metrics included", async () => {
  const [whole, broken] = [await makeArtifact(), await makeArtifact()];
  await train(whole, { saveEvery: 3 });
  let steps = 0;
  const stopped = await train(broken, { onStep: () => (steps += 1), shouldStop: () => steps >= 4 });
  expect(stopped).toMatchObject({ stopped: true, steps: 4 });
  const rest = await train(broken, { resume: true });
  expect(rest).toMatchObject({ stopped: false, steps: 8 });
  expect(finalState(broken).equals(finalState(whole))).toBe(true);
  expect(readFileSync(join(broken, "metrics.jsonl"), "utf8")).toBe(
    readFileSync(join(whole, "metrics.jsonl"), "utf8"),
  );
});

it("goes on from an older checkpoint as if the rest had never happened", async () => {
  const [whole, again] = [await makeArtifact(), await makeArtifact()];
  await train(whole);
  await train(again, { saveEvery: 2 });
  writeFileSync(join(again, "latest"), "checkpoints/step-2\n");
  await train(again, { resume: true });
  expect(finalState(again).equals(finalState(whole))).toBe(true);
});

it("accumulates in the same way when resumed", async () => {
  const request = { accumulate: 2 };
  const [whole, broken] = [await makeArtifact(request), await makeArtifact(request)];
  await train(whole);
  let steps = 0;
  await train(broken, { onStep: () => (steps += 1), shouldStop: () => steps >= 3 });
  await train(broken, { resume: true });
  expect(finalState(broken).equals(finalState(whole))).toBe(true);
});

it("gives the losses of single steps when a run has several", async () => {
  const [single, four] = [await makeArtifact(), await makeArtifact({ stepsPerRun: 4 })];
  await train(single);
  await train(four);
  expect(finalState(four).equals(finalState(single))).toBe(true);
  expect(readFileSync(join(four, "metrics.jsonl"), "utf8")).toBe(
    readFileSync(join(single, "metrics.jsonl"), "utf8"),
  );
});

it("pads the batches of one run alike where examples are of uneven length", async () => {
  const uneven: Dataset = {
    rows: 16,
    fields: [...tokenFieldNames, "labels"],
    collate: (rows, wanted) => {
      const sequences = Array.from(rows, (row) => {
        const ids = Int32Array.from({ length: 2 + ((row * 7) % 5) }, (_, i) => (row * 3 + i) % 30);
        return { ids, labels: ids };
      });
      return assembleBatch(
        "uneven",
        tokenFields(sequences, { padId: 0, length: "longest" }, "labels"),
        wanted,
      );
    },
    lengthOf: (row) => 2 + ((row * 7) % 5),
  };
  const still = { method: { options: { target_modules: ["q_proj"], r: 2 } } };
  const losses = async (stepsPerRun: number, groupByLength: boolean): Promise<number[]> => {
    const found: number[] = [];
    await train(await makeArtifact({ ...still, stepsPerRun }), {
      dataset: uneven,
      groupByLength,
      onStep: ({ loss }) => found.push(loss),
    });
    return found;
  };
  const [single, four] = [await losses(1, false), await losses(4, false)];
  expect(four).toHaveLength(8);
  four.forEach((loss, i) => expect(Math.abs(loss - (single[i] ?? Number.NaN))).toBeLessThan(1e-5));
  for (const loss of await losses(4, true)) expect(loss).toBeGreaterThan(0);
});

it("names the example and the id that the model has no row for", async () => {
  const trainer = await Trainer.open(await makeArtifact());
  const ids = Int32Array.of(1, 2, 3, 4, 5, 4096);
  const batch = assembleBatch(
    "a batch",
    tokenFields(
      [ids.subarray(0, 3), ids.subarray(3)].map((row) => ({ ids: row, labels: row })),
      { padId: 0, length: "longest" },
      "labels",
    ),
    wantedFields(trainer.artifact.manifest),
  );
  await expect(trainer.step(batch)).rejects.toMatchObject({
    diagnostics: [
      {
        code: "E_ID_RANGE",
        place: "example 1 of the batch, position 2",
        expected: "ids from 0 to 127, since the table has 128 rows",
        got: "4096",
      },
    ],
  });
  await trainer.close();
});

it("refuses to resume with other data, seed, batches or length", async () => {
  const folder = await makeArtifact({ schedule: { kind: "linear" } });
  let steps = 0;
  await train(folder, { onStep: () => (steps += 1), shouldStop: () => steps >= 2 });
  const other = openData(Artifact.open(folder), { data: ["random"], axes: { seq: 6 } }).dataset;
  for (const change of [{ seed: 5 }, { steps: 9 }, { batch: 3 }, { dataset: other }]) {
    await expect(train(folder, { resume: true, ...change })).rejects.toMatchObject({ code: "E_RESUME" });
  }
});

it("makes a run longer where the rate does not depend on its length", async () => {
  const [whole, longer] = [await makeArtifact(), await makeArtifact()];
  await train(whole);
  await train(longer, { steps: 5 });
  expect(await train(longer, { resume: true })).toMatchObject({ steps: 8 });
  expect(finalState(longer).equals(finalState(whole))).toBe(true);
});

it("refuses a second trainer, and takes over the lock of a dead one", async () => {
  const folder = await makeArtifact();
  const release = lockArtifact(folder);
  await expect(train(folder)).rejects.toMatchObject({ code: "E_LOCKED" });
  release();
  // No process has this number: Linux counts to 2^22 at most.
  writeFileSync(join(folder, ".lock"), "99999999");
  await train(folder, { steps: 1 });
  expect(existsSync(join(folder, ".lock"))).toBe(false);
});

it("does not see what was never finished, and clears it away", async () => {
  const folder = await makeArtifact();
  await train(folder, { saveEvery: 4 });
  const torn = join(folder, "checkpoints/.writing-step-9-1");
  mkdirSync(torn);
  writeFileSync(join(torn, "state.safetensors"), "torn");
  writeFileSync(join(folder, "latest"), "checkpoints/step-9\n");
  expect(latestCheckpoint(folder)?.step).toBe(8);
  removeUnfinished(folder);
  expect(readdirSync(join(folder, "checkpoints")).sort()).toEqual(["step-4", "step-8"]);
});

it("keeps as many checkpoints as asked for", async () => {
  const folder = await makeArtifact();
  await train(folder, { saveEvery: 2, keep: 2 });
  expect(readdirSync(join(folder, "checkpoints")).sort()).toEqual(["step-6", "step-8"]);
});

it("begins anew beside earlier training, which it keeps", async () => {
  const folder = await makeArtifact();
  await train(folder);
  const before = readFileSync(join(folder, "metrics.jsonl"), "utf8");
  let setAside: string | undefined;
  await train(folder, { steps: 3, keep: 1, onStart: (facts) => (setAside = facts.setAside) });
  expect(setAside).toBe(join(folder, "earlier-1"));
  expect(latestCheckpoint(folder)?.step).toBe(3);
  expect(readdirSync(join(folder, "checkpoints"))).toEqual(["step-3"]);
  expect(latestCheckpoint(join(folder, "earlier-1"))?.step).toBe(8);
  expect(readFileSync(join(folder, "earlier-1", "metrics.jsonl"), "utf8")).toBe(before);
  expect(readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n")).toHaveLength(3);
});

it("finds a checkpoint that was just being replaced, and puts it back", async () => {
  const folder = await makeArtifact();
  await train(folder, { steps: 2 });
  const step = join(folder, "checkpoints/step-2");
  renameSync(step, join(folder, "checkpoints/.old-step-2"));
  mkdirSync(join(folder, "checkpoints/.writing-step-2"));
  writeFileSync(join(folder, ".latest.1-abc.tmp"), "torn");
  expect(latestCheckpoint(folder)?.step).toBe(2);
  removeUnfinished(folder);
  expect(readdirSync(join(folder, "checkpoints"))).toEqual(["step-2"]);
  expect(readdirSync(folder)).not.toContain(".latest.1-abc.tmp");
  expect(latestCheckpoint(folder)?.folder).toBe(step);
});

it("stops at a loss that is not finite, and keeps the last checkpoint", async () => {
  const folder = await makeArtifact({ optimizer: { name: "adamw", options: { lr: 1e25 } } });
  await expect(train(folder)).rejects.toMatchObject({ code: "E_LOSS_NOT_FINITE" });
  expect(latestCheckpoint(folder)).toBeUndefined();
  await expect(train(folder, { saveEvery: 1 })).rejects.toThrow(/E_LOSS_NOT_FINITE.*step 2(.|\n)*step-1/);
  expect(latestCheckpoint(folder)?.step).toBe(1);
  expect(existsSync(join(folder, ".lock"))).toBe(false);
});

it("does not save a state that is not finite", async () => {
  const folder = await makeArtifact({ optimizer: { name: "sgd", options: { lr: 1e39 } } });
  await expect(train(folder, { saveEvery: 1 })).rejects.toMatchObject({ code: "E_STATE_NOT_FINITE" });
  expect(latestCheckpoint(folder)).toBeUndefined();
});

it("goes on while a scale for the loss is looked for", async () => {
  const folder = await makeArtifact({ precision: "fp16", scaling: { scale: 2 ** 40, interval: 1000 } });
  const { skippedSteps, lastLoss } = await train(folder, { steps: 40 });
  expect(skippedSteps).toBeGreaterThan(0);
  expect(skippedSteps).toBeLessThan(40);
  expect(Number.isFinite(lastLoss)).toBe(true);
});

it("rounds up to whole runs of the graph", async () => {
  const folder = await makeArtifact({ stepsPerRun: 3 });
  expect(await train(folder)).toMatchObject({ steps: 9, totalSteps: 9, stopped: false });
});

it("makes one update of as many batches as are accumulated, whatever a run of the graph has", async () => {
  const [one, two] = [
    await makeArtifact({ accumulate: 2 }),
    await makeArtifact({ accumulate: 2, stepsPerRun: 2 }),
  ];
  await train(one);
  await train(two);
  expect(finalState(two).equals(finalState(one))).toBe(true);
});

describe("evaluation", () => {
  const evaluation = (folder: string): Partial<TrainRunOptions> => ({
    evaluation: openData(Artifact.open(folder), { data: ["random"], seed: 9, axes: { seq: 5 } }).dataset,
    evalRows: 6,
    evalEvery: 4,
    saveEvery: 4,
  });

  it("is in the metrics once, also when it was broken off", async () => {
    const [whole, broken] = [await makeArtifact(), await makeArtifact()];
    const { metrics, best } = await train(whole, evaluation(whole));
    expect(metrics?.loss).toBeGreaterThan(0);
    expect(best?.loss).toBeLessThanOrEqual(metrics?.loss ?? 0);
    // Once within the evaluation after step 4, once within that at the end.
    for (const at of [4, 8]) {
      let [step, batches] = [0, 0];
      const stopped = await train(broken, {
        ...evaluation(broken),
        resume: at > 4,
        onStep: (result) => (step = result.step),
        onEvaluationBatch: () => (batches += 1),
        shouldStop: () => step === at && batches % 3 === 1,
      });
      expect(stopped).toMatchObject({ steps: at, stopped: at < 8, metrics: undefined });
      expect(latestCheckpoint(broken)).toMatchObject({ step: at, evaluated: false });
    }
    expect(await train(broken, { ...evaluation(broken), resume: true })).toMatchObject({ metrics, best });
    const text = readFileSync(join(whole, "metrics.jsonl"), "utf8");
    expect(text.match(/eval_loss/g)).toHaveLength(2);
    expect(readFileSync(join(broken, "metrics.jsonl"), "utf8")).toBe(text);
    for (const file of ["state.safetensors", "trainer.json"]) {
      const path = join("checkpoints/step-8", file);
      expect(readFileSync(join(broken, path)).equals(readFileSync(join(whole, path)))).toBe(true);
    }
  });
});

it("refuses a weight file that was swapped, and one that is gone", async () => {
  const model = join(mkdtempSync(join(tmpdir(), "peft-swapped-")), "model.onnx");
  copyFileSync("fixtures/oracles/models/llama/model.onnx", model);
  const folder = await makeArtifact({}, model);
  const bytes = readFileSync(model);
  // One bit of the last weight, and the file's time as before.
  bytes[bytes.length - 100] = (bytes[bytes.length - 100] ?? 0) ^ 1;
  const { atime, mtime } = statSync(model);
  writeFileSync(model, bytes);
  utimesSync(model, atime, mtime);
  expect(() => Artifact.open(folder)).toThrow(/E_SOURCE_CHANGED/);
  writeFileSync(model, bytes.subarray(1));
  expect(() => Artifact.open(folder)).toThrow(/E_SOURCE_CHANGED/);
  rmSync(join(model, ".."), { recursive: true });
  expect(() => Artifact.open(folder)).toThrow(/E_SOURCE_MISSING/);
});
