/** Runs that are broken off and go on: the same bits as an undisturbed run, and never a torn file. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Artifact } from "../../src/runtime/artifact.ts";
import { latestCheckpoint, removeUnfinished } from "../../src/runtime/checkpoint.ts";
import { lockArtifact } from "../../src/runtime/lock.ts";
import { openData, wantedFields } from "../../src/runtime/open-data.ts";
import { type RunResult, type TrainRunOptions, trainArtifact } from "../../src/runtime/train-run.ts";
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

it("refuses to resume with another seed or length", async () => {
  const folder = await makeArtifact();
  let steps = 0;
  await train(folder, { onStep: () => (steps += 1), shouldStop: () => steps >= 2 });
  await expect(train(folder, { resume: true, seed: 5 })).rejects.toMatchObject({ code: "E_RESUME" });
  await expect(train(folder, { resume: true, steps: 9 })).rejects.toMatchObject({ code: "E_RESUME" });
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

it("refuses weights that changed since compiling", async () => {
  const folder = await makeArtifact();
  const file = join(folder, "manifest.json");
  const manifest = JSON.parse(readFileSync(file, "utf8"));
  manifest.source.files[0].sha256 = "0".repeat(64);
  writeFileSync(file, JSON.stringify(manifest));
  expect(() => Artifact.open(folder)).toThrow(/E_SOURCE_CHANGED/);
});
