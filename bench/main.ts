/** Prints how long reading, compiling and a training step of the fixture model take on this machine. */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { compileGraphs } from "../src/compile/compile.ts";
import type { CompileRequest } from "../src/compile/request.ts";
import { writeArtifact } from "../src/compile/write-artifact.ts";
import { Batches } from "../src/data/batches.ts";
import { readModel } from "../src/onnx/read.ts";
import { wantedFields } from "../src/runtime/graph-ports.ts";
import { openData } from "../src/runtime/open-data.ts";
import { Trainer } from "../src/runtime/trainer.ts";
import { measure, type Spread } from "./measure.ts";

const file = "fixtures/models/stories260k/model.onnx";
const request: CompileRequest = {
  method: { name: "lora", options: { r: 8, target_modules: ["q_proj", "k_proj", "v_proj", "o_proj"] } },
};

const folder = mkdtempSync(join(tmpdir(), "peft-compile-bench-"));
try {
  const model = readModel(file);
  const compiled = compileGraphs(model, request);
  await writeArtifact(compiled, folder);
  const trainer = await Trainer.open(folder, { checkpoint: false });
  const { dataset } = openData(trainer.artifact, { data: ["random"], axes: { seq: 256 } });
  const batches = new Batches(dataset, {
    batch: 8,
    order: "in-order",
    wanted: wantedFields(trainer.artifact.manifest),
  });
  const batch = batches.next();
  const rows: [string, Spread][] = [
    ["read", await measure(() => readModel(file))],
    ["compile", await measure(() => compileGraphs(model, request))],
    ["write artifact", await measure(() => writeArtifact(compiled, folder))],
    ["step 8 x 256", await measure(() => trainer.step(batch), 15)],
  ];
  await trainer.close();
  console.log(
    `stories260k, LoRA on q k v o; ${cpus().length} x ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.versions.node}`,
  );
  for (const [name, { median, low, high, runs }] of rows) {
    const spread = `${low.toFixed(1)} to ${high.toFixed(1)}`;
    console.log(`${name.padEnd(16)}${median.toFixed(1).padStart(9)} ms   quartiles ${spread}, ${runs} runs`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
