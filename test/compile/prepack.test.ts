/** Whether weights are copied for kernels: what is chosen, what is said of it, and that steps come out the same. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import { choosePrepack } from "../../src/compile/prepack.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { writeArtifact } from "../../src/compile/write-artifact.ts";
import { Batches } from "../../src/data/batches.ts";
import { inlineTensor } from "../../src/ir/constant.ts";
import { readModel } from "../../src/onnx/read.ts";
import { wantedFields } from "../../src/runtime/graph-ports.ts";
import { openData } from "../../src/runtime/open-data.ts";
import { Trainer } from "../../src/runtime/trainer.ts";
import { parseModel } from "../../src/text/parse.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-prepack-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A product with a weight of so many rows of 1,024. */
function product(rows: number, other = ""): ReturnType<typeof parseModel> {
  const model = parseModel(`<ir_version: 10, opset_import: ["" : 20]>
f (float[1, ${rows}] x) => (float[1, 1024] y) <float[1] weight = {0} ${other}> { y = MatMul (x, weight) }`);
  const [weight] = model.graph.initializers;
  if (weight?.initializer === undefined) throw new Error("no weight");
  const bytes = new Uint8Array(4 * rows * 1024);
  weight.initializer = inlineTensor("float32", [rows, 1024], bytes);
  return model;
}

test.each([
  [16_383, "", true],
  [16_384, "", false],
  [16_384, ", uint8[2, 2] numbers = {1, 2, 3, 4}", true],
])("copies of a weight of %i rows%s: %s", (rows, other, packs) => {
  const { graph } = product(rows, other);
  expect(choosePrepack(graph, "auto").packs).toBe(packs);
  expect(choosePrepack(graph, "all").packs).toBe(true);
  const none = choosePrepack(graph, "none");
  expect(none).toEqual({
    packs: false,
    reason: expect.stringMatching(/saves copies of 67 MB, as asked for/),
  });
});

async function firstLosses(prepack: CompileRequest["prepack"]): Promise<number[]> {
  const source = readModel("fixtures/models/stories260k/model.onnx");
  const compiled = compileGraphs(source, { method: { options: { target_modules: ["q_proj"] } }, prepack });
  const artifact = join(folder, prepack ?? "auto");
  const manifest = await writeArtifact(compiled, artifact);
  expect(manifest.prepack).toBe(prepack === "all");
  const trainer = await Trainer.open(artifact, { threads: 1 });
  try {
    const { dataset } = openData(trainer.artifact, { data: ["random"], axes: { seq: 8 } });
    const wanted = wantedFields(trainer.artifact.manifest);
    const batches = new Batches(dataset, { batch: 2, order: "in-order", wanted });
    return [(await trainer.step(batches.next())).loss, (await trainer.step(batches.next())).loss];
  } finally {
    await trainer.close();
  }
}

test("steps are the same with and without copies, to rounding", async () => {
  const [all, none] = [await firstLosses("all"), await firstLosses("none")];
  none.forEach((loss, i) => {
    expect(loss).toBeCloseTo(all[i] ?? Number.NaN, 5);
  });
});
