/** Every file of fixtures/hostile ends as expected.json says: in the diagnostic of that code, or in a model. */
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { compileGraphs } from "../../src/compile/compile.ts";
import { makeGradient } from "../../src/compile/gradient.ts";
import { inspectModel } from "../../src/compile/inspect.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import { cloneModel } from "../../src/ir/clone.ts";
import type { Model } from "../../src/ir/model.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { errorCode } from "../onnx/error-code.ts";

const folder = new URL("../../fixtures/hostile/", import.meta.url);
const by = z.enum(["fuzz", "hand"]);
const code = z.string();
const entry = z.union([
  z.strictObject({ by, read: code }),
  z.strictObject({ by, gradient: code, compile: code }),
]);
const expected = z
  .record(z.string(), entry)
  .parse(JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")));

const files = readdirSync(folder).filter((name) => name.endsWith(".onnx"));

test("each file is listed, and each name has its file", () => {
  expect(Object.keys(expected).sort()).toEqual(files.sort());
});

test.each(files)("%s", (name) => {
  const wanted = expected[name];
  const path = new URL(name, folder).pathname;
  if (wanted === undefined) throw new Error("a file that is not listed");
  if ("read" in wanted) {
    expect(errorCode(() => readModel(path))).toBe(wanted.read);
    return;
  }
  const model = readModel(path);
  verifyModel(model);
  const text = printModel(model);
  expect(printModel(parseModel(text))).toBe(text);
  verifyModel(readModel(encodeModel(model)));
  // Inspection says what is wrong in its answer instead of failing.
  inspectModel(model);
  expect(wanted.gradient).toBe(errorCode(() => makeGradient(model)).replace("none", "ok"));
  expect(wanted.compile).toBe(errorCode(() => compileAny(model)).replace("none", "ok"));
  errorCode(() => {
    const prepared = cloneModel(model);
    runPasses(prepared, preparePipeline, { verifyEach: true });
    encodeModel(prepared);
  });
});

function compileAny(model: Model): void {
  compileGraphs(model, {
    method: { name: "lora", options: { target_modules: "all-linear" } },
    task: "auto",
  });
}
