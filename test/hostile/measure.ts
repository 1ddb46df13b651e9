/** Puts large and hostile models through the compiler in this process, and prints what each cost, one JSON line for each. */
import { readdirSync, readFileSync } from "node:fs";
import { compileGraphs } from "../../src/compile/compile.ts";
import { makeGradient } from "../../src/compile/gradient.ts";
import { inspectModel } from "../../src/compile/inspect.ts";
import type { Model } from "../../src/ir/model.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { errorCode } from "../onnx/error-code.ts";
import { largeModels } from "./large-models.ts";

const folder = new URL("../../fixtures/hostile/", import.meta.url);
const corpus = readdirSync(folder)
  .filter((name) => name.endsWith(".onnx"))
  .map((name) => [name, () => Uint8Array.from(readFileSync(new URL(name, folder)))] as const);

const verbs: Readonly<Record<string, (model: Model) => void>> = {
  write: (model) => void encodeModel(model),
  inspect: (model) => void inspectModel(model),
  gradient: (model) => void makeGradient(model),
  compile: (model) => void compileGraphs(model, { method: { name: "lora" }, task: "auto" }),
};

const peakBytes = (): number => process.resourceUsage().maxRSS * 1024;

for (const [name, make] of [...corpus, ...Object.entries(largeModels)]) {
  const bytes = make();
  const before = peakBytes();
  let slowest = 0;
  const timed = (run: () => void): string => {
    const start = process.cpuUsage();
    const code = errorCode(run);
    slowest = Math.max(slowest, process.cpuUsage(start).user / 1000);
    return code;
  };
  let read: Model | undefined;
  const codes = {
    read: timed(() => {
      read = readModel(bytes);
    }),
  };
  const model = read;
  if (model !== undefined)
    for (const [verb, run] of Object.entries(verbs))
      Object.assign(codes, { [verb]: timed(() => run(model)) });
  const grownBytes = peakBytes() - before;
  console.log(JSON.stringify({ name, modelBytes: bytes.length, slowestMs: slowest, grownBytes, codes }));
}
