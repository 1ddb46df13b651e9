/** Order and memory of emitted training graphs, held against what ONNX Runtime's own profiler says of each node. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { bindAxes } from "../../src/analysis/bind-axes.ts";
import { memoryUse } from "../../src/analysis/memory.ts";
import { openSubject } from "../../src/compile/analyze.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { writeArtifact } from "../../src/compile/write-artifact.ts";
import { Batches } from "../../src/data/batches.ts";
import { readModel } from "../../src/onnx/read.ts";
import { wantedFields } from "../../src/runtime/graph-ports.ts";
import { openData } from "../../src/runtime/open-data.ts";
import { type NodeRun, nodeRuns, profileFile, readTrace } from "../../src/runtime/profile.ts";
import { Trainer } from "../../src/runtime/trainer.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

const models = [
  "fixtures/models/stories260k/model.onnx",
  "fixtures/oracles/models/bert/model.onnx",
  "fixtures/oracles/models/bert/model-dynamo.onnx",
];

const sizes = { batch: 4, seq: 16 };

/** Runs of the nodes of one step, without the runtime's optimizers. */
async function profileStep(artifact: string): Promise<NodeRun[]> {
  const prefix = join(artifact, "profile");
  const trainer = await Trainer.open(artifact, { threads: 1, profile: prefix, optimization: "disabled" });
  const { dataset } = openData(trainer.artifact, { data: ["random"], axes: { seq: sizes.seq } });
  const wanted = wantedFields(trainer.artifact.manifest);
  await trainer.step(new Batches(dataset, { batch: sizes.batch, order: "in-order", wanted }).next());
  await trainer.close();
  const file = profileFile(`${prefix}-train`);
  if (file === undefined) throw new Error("the profiler wrote nothing");
  return nodeRuns(readTrace(file));
}

describe("memory of a training step", () => {
  it.each<[string, CompileRequest]>([
    ...models.map((path): [string, CompileRequest] => [path, {}]),
    ["fixtures/models/stories260k/model.onnx", { recompute: "all" }],
  ])("is that of the runtime, node by node: %s %j", async (path, request) => {
    const artifact = join(folder, `${path}-${request.recompute ?? ""}`.replaceAll("/", "-"));
    const method = { options: { target_modules: "all-linear" } };
    await writeArtifact(compileGraphs(readModel(path), { ...request, method }), artifact);
    const runs = await profileStep(artifact);
    const { train } = openSubject(artifact);
    bindAxes(train, sizes);
    const use = memoryUse(train.graph);
    expect(use.unknown).toEqual([]);
    // The replay goes through both branches of each If.
    const moments = use.moments.filter(({ node }) => node.graph?.name !== "never");
    expect(moments.map(({ node }) => node.name)).toEqual(runs.map(({ node }) => node));
    const start = (runs[0]?.inUse ?? 0) - (moments[0]?.live ?? 0);
    // What is off is small results that the runtime knows to be alike, or does not know to be; more so in branches.
    const off = runs.map(({ inUse }, i) => Math.abs(inUse - start - (moments[i]?.live ?? 0)));
    expect(Math.max(...off)).toBeLessThan((request.recompute === undefined ? 0.12 : 0.25) * use.peak);
    const peak = Math.max(...runs.map(({ inUse }) => inUse)) - start;
    expect(Math.abs(use.peak - peak)).toBeLessThan((request.recompute === undefined ? 0.03 : 0.08) * peak);
  });
});
