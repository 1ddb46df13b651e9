/** Elements of every type, in the field for the type and in raw_data, short and long. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fixture } from "./fixture-files.ts";
import { initializersOf } from "./small-models.ts";

describe("element types", () => {
  const model = readModel(fixture("types.onnx"));
  const tensors = initializersOf(model.graph);
  const base64 = (tensor: Tensor | undefined): string =>
    Buffer.from(tensor?.bytes() ?? []).toString("base64");
  const labels = [...tensors.keys()].filter((name) => name.endsWith(".raw")).map((name) => name.slice(0, -4));

  test("there are all but strings, and some too long for the skeleton", () => {
    expect(labels.filter((label) => label.endsWith(".5")).length).toBe(27);
    expect(labels.filter((label) => label.endsWith(".2100")).length).toBe(9);
  });

  test.each(labels)("%s: the typed field and raw_data hold the same", (label) => {
    const [typed, raw] = [tensors.get(`${label}.typed`), tensors.get(`${label}.raw`)];
    expect(typed?.dtype).toBe(raw?.dtype);
    expect(raw?.bytes().length).toBe(raw?.byteLength);
    expect(base64(typed)).toBe(base64(raw));
  });

  test("the bytes are those that NumPy and ml_dtypes write", () => {
    const expected: unknown = JSON.parse(readFileSync(fixture("types.json"), "utf8"));
    const short = labels.filter((label) => label.endsWith(".5"));
    expect(Object.fromEntries(short.map((label) => [label, base64(tensors.get(`${label}.typed`))]))).toEqual(
      expected,
    );
  });

  test("long data stays in the file, also where it must be unpacked", () => {
    expect(tensors.get("float.2100.typed")?.source.kind).toBe("file");
    expect(tensors.get("float16.2100.raw")?.source.kind).toBe("file");
    expect(tensors.get("float16.2100.typed")?.source.kind).toBe("lazy");
  });

  test("the same from bytes in memory", () => {
    const inMemory = initializersOf(readModel(readFileSync(fixture("types.onnx"))).graph);
    for (const label of labels)
      expect(base64(inMemory.get(`${label}.typed`))).toBe(base64(tensors.get(`${label}.raw`)));
  });

  test("strings are bytes, valid UTF-8 or not", () => {
    const { source } = tensors.get("string.2.typed") ?? {};
    const values = source?.kind === "strings" ? source.values.map((value) => [...value]) : [];
    expect(values).toEqual([[...Buffer.from("café")], [255]]);
  });
});
