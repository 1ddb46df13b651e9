/** The hash of a model's structure: everything but the bytes of its weights. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { structureHash } from "../../src/compile/structure.ts";
import { readModel } from "../../src/onnx/read.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { modelFile } from "../training/oracle-models.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-structure-"));
afterAll(() => rmSync(folder, { recursive: true }));

const text = `f (float[n,2] x) => (float[n,2] y) <float[2,2] w = {1, 2, 3, 4}, float c = {5}> {
  a = MatMul (x, w)
  b = Softmax <axis = 1> (a)
  y = Mul (b, c)
}`;
const hashOf = (source: string): string => structureHash(parseModel(source));

describe("structureHash", () => {
  it("is the same each time, and leaves the model alone", () => {
    const model = parseModel(text);
    const before = printModel(model);
    expect(structureHash(model)).toBe(structureHash(model));
    expect(structureHash(model)).toBe(hashOf(text));
    expect(structureHash(model)).toMatch(/^[0-9a-f]{64}$/);
    expect(printModel(model)).toBe(before);
  });

  it.each([
    ["a node", "y = Mul (b, c)", "y = Add (b, c)"],
    ["an attribute", "axis = 1", "axis = 0"],
    ["an edge", "Softmax <axis = 1> (a)", "Softmax <axis = 1> (x)"],
    ["the name of an input", "float[n,2] x", "float[n,2] ids"],
    ["a type", "=> (float[n,2] y)", "=> (float[m,2] y)"],
    ["a small constant", "c = {5}", "c = {6}"],
    ["the name of a weight", "w", "v"],
  ])("changes with %s", (_, from, to) => {
    const changed =
      from === "w" ? text.replace("[2,2] w", "[2,2] v").replace("(x, w)", "(x, v)") : text.replace(from, to);
    const whole = from === "float[n,2] x" ? changed.replace("(x, w)", "(ids, w)") : changed;
    expect(whole).not.toBe(text);
    expect(hashOf(whole)).not.toBe(hashOf(text));
  });

  it("does not depend on the bytes of weights, nor on the name of the file around them", () => {
    const source = modelFile("llama");
    const weights = [...readModel(source).graph.initializers].flatMap(({ initializer }) =>
      initializer?.source.kind === "file" ? [initializer.source.range] : [],
    );
    expect(weights.length).toBeGreaterThan(10);
    const copy = join(folder, "other.onnx");
    copyFileSync(source, copy);
    const bytes = readFileSync(copy);
    for (const { offset, length } of weights) bytes.fill(7, offset, offset + length);
    writeFileSync(copy, bytes);
    expect(structureHash(readModel(copy))).toBe(structureHash(readModel(source)));
  });

  it("depends on where external weights lie in the model's folder, not on where that is", () => {
    const external = (location: string, offset = 0): string => `f (float[n,2] x) => (float[n,1024] y) <
      float[2,1024] w = ["location": "${location}", "offset": "${offset}", "length": "8192"]
    > { y = MatMul (x, w) }`;
    const hashIn = (place: string, source: string): string => {
      const home = join(folder, place);
      const model = parseModel(source, { file: join(home, "model.onnxtxt") });
      model.origin = { file: join(home, "model.onnxtxt"), folder: home };
      return structureHash(model);
    };
    expect(hashIn("one", external("a.bin"))).toBe(hashIn("two", external("a.bin")));
    expect(hashIn("one", external("a.bin"))).not.toBe(hashIn("one", external("b.bin")));
    expect(hashIn("one", external("a.bin"))).not.toBe(hashIn("one", external("a.bin", 4096)));
  });
});
