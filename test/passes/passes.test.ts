/** Runs every text golden in this folder: `<pass>.txt` holds cases of one pass, and of pipelines around it. */
import { readdirSync } from "node:fs";
import { passes } from "../../passes/index.ts";
import { runPipeline } from "../../src/pass/manager.ts";
import { printModel } from "../../src/text/print.ts";
import { testGoldens } from "../harness/golden.ts";

const folder = new URL(".", import.meta.url);

for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt"))) {
  testGoldens(file, new URL(file, folder), (model, pipeline) => {
    runPipeline(model, pipeline, { registry: passes, print: printModel, verifyEach: true, checkTruth: true });
  });
}
