/** Tests of src/runtime/session.ts: what crosses the boundary, which settings reach the runtime, and what goes wrong. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { Field } from "../../src/data/batch.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { probeCuda } from "../../src/runtime/probe.ts";
import { openSession, type SessionOptions } from "../../src/runtime/session.ts";
import { parseModel } from "../../src/text/parse.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-session-"));
afterAll(() => rmSync(folder, { recursive: true }));

function graph(body: string): Uint8Array {
  return encodeModel(parseModel(`<ir_version: 10, opset_import: ["" : 20]>\n${body}`));
}

const double = graph("double (float[n] x) => (float[n] y, float[n] z) { y = Add (x, x)\n z = Neg (x) }");

async function run(
  model: Uint8Array,
  feeds: Record<string, Field>,
  options: SessionOptions = {},
  outputs?: readonly string[],
): Promise<Record<string, Field>> {
  const session = await openSession(model, { threads: 1, ...options });
  try {
    return await session.run(feeds, outputs);
  } finally {
    await session.close();
  }
}

function floats(...values: number[]): Field {
  return { dtype: "float32", shape: [values.length], data: Float32Array.from(values) };
}

describe("run", () => {
  const fields: [string, Field][] = [
    ["float", { dtype: "float32", shape: [2], data: Float32Array.of(0.5, -1) }],
    ["double", { dtype: "float64", shape: [2], data: Float64Array.of(0.1, -1) }],
    ["float16", { dtype: "float16", shape: [2], data: Uint16Array.of(0x3c00, 0xfbff) }],
    ["int64", { dtype: "int64", shape: [2], data: BigInt64Array.of(-(2n ** 63n), 5n) }],
    ["uint64", { dtype: "uint64", shape: [2], data: BigUint64Array.of(2n ** 64n - 1n, 5n) }],
    ["int32", { dtype: "int32", shape: [2], data: Int32Array.of(-5, 7) }],
    ["int8", { dtype: "int8", shape: [2], data: Int8Array.of(-5, 7) }],
    ["uint8", { dtype: "uint8", shape: [2], data: Uint8Array.of(5, 255) }],
    ["bool", { dtype: "bool", shape: [2], data: Uint8Array.of(1, 0) }],
  ];
  it.each(fields)("gives %s back as it was", async (type, field) => {
    const { y } = await run(graph(`same (${type}[2] x) => (${type}[2] y) { y = Identity (x) }`), {
      x: field,
    });
    expect(y).toEqual(field);
  });

  it("refuses feeds that the binding would ignore", async () => {
    const gain = graph("gain (float[1] x, float[1] by = {2}) => (float[1] y) { y = Mul (x, by) }");
    expect((await run(gain, { x: floats(3) })).y?.data).toEqual(Float32Array.of(6));
    await expect(run(gain, { x: floats(3), by: floats(5) })).rejects.toThrow(/^E_FEED_UNKNOWN .*"by"/);
  });

  it("gives fresh outputs, only those that are wanted", async () => {
    const x = floats(1, 2);
    const outputs = await run(double, { x }, {}, ["y"]);
    expect(outputs).toEqual({ y: floats(2, 4) });
    expect(x).toEqual(floats(1, 2));
  });

  it("names the graph and the tensor of a feed that does not fit", async () => {
    const named = { name: "double.onnx" };
    const wrong: Field = { dtype: "float32", shape: [3], data: Float32Array.of(1) };
    await expect(run(double, { x: wrong })).rejects.toMatchObject({ code: "E_FEED_SIZE" });
    const mixed: Field = { dtype: "float32", shape: [1], data: Int32Array.of(1) };
    await expect(run(double, { x: mixed })).rejects.toMatchObject({ code: "E_FEED" });
    const brain: Field = { dtype: "bfloat16", shape: [1], data: Uint16Array.of(1) };
    await expect(run(double, { x: brain })).rejects.toMatchObject({ code: "E_FEED" });
    await expect(run(double, {}, named)).rejects.toThrow(/^E_RUN .*double\.onnx/);
    const integer: Field = { dtype: "int32", shape: [1], data: Int32Array.of(1) };
    await expect(run(double, { x: integer }, named)).rejects.toThrow(/^E_RUN .*double\.onnx/);
  });
});

describe("settings", () => {
  it("leave the training form of Dropout in the graph", async () => {
    const dropout = graph(`drop (float[n] x) => (float[n] y) <
      float p = {0.5}, bool on = {1}
    > { y = Dropout <seed = 1> (x, p, on) }`);
    const { y } = await run(dropout, { x: floats(...new Array<number>(64).fill(1)) });
    expect(new Set(Array.from(y?.data ?? [], Number))).toEqual(new Set([0, 2]));
  });

  it("name the folder of external weights", async () => {
    writeFileSync(join(folder, "w.bin"), new Float32Array(1024).fill(3));
    const weights = encodeModel(
      parseModel(
        `<ir_version: 10, opset_import: ["" : 20]>
        add (float[1] x) => (float[1024] y) <
          float[1024] w = ["location" : "w.bin", "offset" : "0", "length" : "4096"]
        > { y = Add (x, w) }`,
        { folder },
      ),
      { weights: "reference", folder },
    );
    const { y } = await run(weights, { x: floats(1) }, { weightsFolder: folder });
    expect(y).toEqual(floats(...new Array<number>(1024).fill(4)));
    await expect(run(weights, { x: floats(1) })).rejects.toMatchObject({ code: "E_SESSION" });
  });
});

describe("opening", () => {
  it("names a graph that the runtime refuses", async () => {
    const session = openSession(Uint8Array.of(1, 2, 3), { name: "broken.onnx" });
    await expect(session).rejects.toThrow(/^E_SESSION .*broken\.onnx/);
    await expect(openSession(join(folder, "none.onnx"))).rejects.toThrow(/^E_SESSION .*none\.onnx/);
  });

  it("says that the runtime has no such provider, and does not compute on another", async () => {
    // The WebAssembly provider is never in the binding, whatever the machine has.
    await expect(openSession(double, { provider: "wasm" })).rejects.toMatchObject({
      code: "E_PROVIDER",
      message: expect.stringMatching(/wasm(.|\n)*got +a runtime with cpu/),
    });
  });

  it.runIf(probeCuda().some(({ loads }) => !loads))("says that libraries of CUDA are missing", async () => {
    await expect(openSession(double, { provider: "cuda" })).rejects.toMatchObject({ code: "E_PROVIDER" });
  });

  it("says that the runtime's module is not there, and takes another with its interface", () => {
    const other = join(folder, "other.mjs");
    writeFileSync(
      other,
      `export const InferenceSession = { create: async () => ({ inputNames: ["other"], outputNames: [] }) };
       export const Tensor = class {};`,
    );
    const script = `import { openSession } from "./src/runtime/session.ts";
      openSession(new Uint8Array()).then(
        (session) => console.log(session.inputNames[0]), (error) => console.log(error.code));`;
    const found = [join(folder, "none.mjs"), other].map((file) => {
      const env = { ...process.env, PEFT_COMPILE_RUNTIME: pathToFileURL(file).href };
      const args = ["--import", "tsx", "--input-type=module", "-e", script];
      return spawnSync(process.execPath, args, { env, encoding: "utf8" }).stdout.trim();
    });
    expect(found).toEqual(["E_RUNTIME_MISSING", "other"]);
  });
});
