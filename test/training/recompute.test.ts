/** Steps with values computed again: the same numbers, less memory, and budgets that hold or are refused. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { memoryTable, subjectOf } from "../../src/compile/analyze.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { writeArtifact } from "../../src/compile/write-artifact.ts";
import { Batches } from "../../src/data/batches.ts";
import { readModel } from "../../src/onnx/read.ts";
import { wantedFields } from "../../src/runtime/graph-ports.ts";
import { openData } from "../../src/runtime/open-data.ts";
import { Trainer } from "../../src/runtime/trainer.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-recompute-"));
afterAll(() => rmSync(folder, { recursive: true }));

const llama = "fixtures/models/stories260k/model.onnx";
const bert = "fixtures/oracles/models/bert/model.onnx";
const sizes = { batch: 4, seq: 64 };

function compile(path: string, request: CompileRequest = {}): ReturnType<typeof compileGraphs> {
  const method = {
    options: { target_modules: path === llama ? ["v_proj"] : "all-linear", ...request.method?.options },
  };
  return compileGraphs(readModel(path), { ...request, method });
}

/** Losses and gradient norms of a few steps on the same batches. */
async function train(path: string, name: string, request: CompileRequest): Promise<number[]> {
  const artifact = join(folder, name);
  const compiled = compile(path, request);
  const branches = [...compiled.graphs.grad.graph.allNodes()].filter(({ op }) => op === "If");
  expect(branches.length > 0).toBe(request.recompute === "all");
  await writeArtifact(compiled, artifact);
  const trainer = await Trainer.open(artifact, { threads: 1 });
  const { dataset } = openData(trainer.artifact, { data: ["random"], axes: { seq: 16 } });
  const wanted = wantedFields(trainer.artifact.manifest);
  const batches = new Batches(dataset, { batch: 4, order: "in-order", wanted });
  const figures: number[] = [];
  for (let step = 0; step < 3; step++) {
    const given = Array.from({ length: trainer.batchesPerStep }, () => batches.next());
    for (const { loss, gradNorm } of await trainer.run(given)) figures.push(loss, gradNorm);
  }
  await trainer.close();
  return figures;
}

describe("recomputation", () => {
  it.each<[string, string, CompileRequest]>([
    ["a language model", llama, {}],
    ["a classifier", bert, {}],
    ["dropout, drawn from the seed", bert, { method: { options: { lora_dropout: 0.2 } } }],
    ["several steps in one run", bert, { stepsPerRun: 2 }],
    ["gradients of several batches", bert, { accumulate: 2 }],
  ])("changes no number: %s", async (title, path, request) => {
    const kept = await train(path, `${title}-kept`, request);
    const again = await train(path, `${title}-again`, { ...request, recompute: "all" });
    again.forEach((figure, i) => {
      expect(Math.abs(figure - (kept[i] ?? 0))).toBeLessThanOrEqual(1e-6 * Math.abs(kept[i] ?? 0));
    });
  });

  it("holds less than half of the values", () => {
    const peak = (request: CompileRequest): number =>
      memoryTable(subjectOf(compile(llama, request)), sizes).use.peak;
    expect(peak({ recompute: "all" })).toBeLessThan(0.5 * peak({}));
  });

  it("computes no more again than a budget asks for, and fits into it", () => {
    const growth = (request: CompileRequest): number =>
      memoryTable(subjectOf(compile(llama, request)), sizes).use.taken;
    const whole: CompileRequest = { disable: ["micro-batch"] };
    const [most, least] = [growth(whole), growth({ ...whole, recompute: "all" })];
    const bytes = Math.round((most + least) / 2);
    const some = compile(llama, { ...whole, memory: { bytes, ...sizes } });
    expect(memoryTable(subjectOf(some), sizes).use.taken).toBeLessThanOrEqual(bytes);
    const [, done, all] = /recompute (\d+) of (\d+) blocks/.exec(some.remarks.join("\n")) ?? [];
    expect(Number(done)).toBeGreaterThan(0);
    expect(Number(done)).toBeLessThan(Number(all));
    expect(compile(llama, { ...whole, memory: { bytes: 2 * most, ...sizes } }).remarks.join("\n")).toContain(
      "recompute 0 of",
    );
  });

  it("makes parts smaller before it computes anything again", () => {
    const growth = (request: CompileRequest): number =>
      memoryTable(subjectOf(compile(llama, request)), sizes).use.taken;
    const bytes = Math.round(0.6 * growth({}));
    const some = compile(llama, { memory: { bytes, ...sizes } });
    expect(growth({ memory: { bytes, ...sizes } })).toBeLessThanOrEqual(bytes);
    expect(some.remarks.join("\n")).toMatch(/recompute 0 of \d+ blocks.* for a batch of [12] /);
  });

  it("refuses a budget below what is possible, and says what is", () => {
    expect(() => compile(llama, { memory: { bytes: 1e5, ...sizes } })).toThrow(
      /E_MEMORY_BUDGET.*at least \d+ MB/s,
    );
  });
});
