/** Models whose exporter listed the weights among the inputs, and weights that a link hides elsewhere. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { compileGraphs } from "../../src/compile/compile.ts";
import { writeArtifact } from "../../src/compile/write-artifact.ts";
import { replaceValue } from "../../src/ir/replace.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-default-inputs-"));
afterAll(() => rmSync(folder, { recursive: true }));
const request = { method: { options: { target_modules: "all-linear" } } };
const file = "fixtures/oracles/models/llama/model.onnx";

it("compiles a model with its weights among the inputs as one without", () => {
  const [plain, listed] = [readModel(file), readModel(file)];
  for (const value of [...listed.graph.initializers]) {
    const { name, type, initializer } = value;
    if (initializer === undefined) continue;
    const input = listed.graph.addInput({ name, initializer, ...(type === undefined ? {} : { type }) });
    replaceValue(value, input);
    listed.graph.removeInitializer(value);
  }
  const inputsOf = (name: "train" | "eval", from: typeof plain): string[] =>
    compileGraphs(from, request).graphs[name].graph.inputs.map((input) => input.name);
  for (const name of ["train", "eval"] as const)
    expect(inputsOf(name, listed)).toEqual(inputsOf(name, plain));
});

it("says which weights lie outside of the model's folder", async () => {
  const model = join(folder, "model.onnx");
  await writeModel(readModel(file), model, { weights: "external" });
  mkdirSync(join(folder, "elsewhere"));
  mkdirSync(join(folder, "beside"));
  renameSync(join(folder, "model.onnx.data"), join(folder, "elsewhere", "data"));
  renameSync(model, join(folder, "beside", "model.onnx"));
  symlinkSync("../elsewhere/data", join(folder, "beside", "model.onnx.data"));
  const compiled = compileGraphs(
    readModel(join(folder, "beside", "model.onnx"), { followLinks: true }),
    request,
  );
  for (const weights of ["reference", "copy"] as const)
    await expect(writeArtifact(compiled, join(folder, "artifact"), { weights })).rejects.toMatchObject({
      diagnostics: [{ code: "E_ARTIFACT_ELSEWHERE", place: join(folder, "elsewhere", "data") }],
    });
});
