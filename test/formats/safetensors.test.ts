/** safetensors: byte equality with the reference library, and refusal of headers whose claims do not hold. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { DiagnosticError, InternalError } from "../../src/diagnostics/define.ts";
import {
  decodeSafetensors,
  elementTypeOf,
  encodeSafetensors,
  type SafetensorsReader,
  type SafetensorsTensor,
  safetensorsDTypeOf,
} from "../../src/formats/safetensors.ts";
import { SafetensorsFile, writeSafetensors } from "../../src/formats/safetensors-file.ts";
import { safetensorsDTypes } from "../../src/formats/safetensors-header.ts";

const fixture = (name: string): string => `fixtures/formats/${name}.safetensors`;
const pt = new Map([["format", "pt"]]);

/** The tensors of a file, in another order than they lie in. */
function tensorsOf(file: SafetensorsReader): SafetensorsTensor[] {
  return file.names.toReversed().map((name) => {
    const { dtype, shape } = file.entry(name);
    return { name, dtype, shape, data: () => file.bytes(name) };
  });
}

describe("reading what the reference library wrote", () => {
  const file = decodeSafetensors(readFileSync(fixture("dtypes")), "dtypes");

  it("gives every dtype, shape, metadata and odd name", () => {
    expect(file.metadata).toEqual(pt);
    expect(new Set(file.names.map((name) => file.entry(name).dtype))).toEqual(new Set(safetensorsDTypes));
    expect(file.entry("a.float64").shape).toEqual([2, 3]);
    expect(file.entry("scalar").shape).toEqual([]);
    expect(file.entry("empty").shape).toEqual([0, 3]);
    expect(file.has('é\n"\\\u0001\u007f')).toBe(true);
    expect(Array.from(file.bytes("\u{1f600}"))).toEqual([9]);
  });

  it("gives the bytes of each tensor", () => {
    expect(Array.from(file.bytes("b.int16"))).toEqual(Array.from({ length: 12 }, (_, i) => i));
    expect(Array.from(file.bytes("scalar"))).toEqual([0, 0, 128, 63]);
    expect(file.bytes("empty").byteLength).toBe(0);
  });

  it("names the nearest tensors when one is missing", () => {
    expect(() => file.bytes("a.float")).toThrow(/E_SAFETENSORS_MISSING[\s\S]*"a.float64"/);
  });

  it("reads a file without metadata and one without tensors", () => {
    expect(decodeSafetensors(readFileSync(fixture("plain"))).metadata.size).toBe(0);
    expect(decodeSafetensors(readFileSync(fixture("none"))).names).toEqual([]);
  });
});

describe("writing", () => {
  it.each([
    ["dtypes", pt],
    ["plain", new Map<string, string>()],
    ["none", new Map<string, string>()],
  ])("encodes %s byte for byte as the reference library does", (name, metadata) => {
    const expected = readFileSync(fixture(name));
    const encoded = encodeSafetensors(tensorsOf(decodeSafetensors(expected)), metadata);
    expect(Buffer.from(encoded).equals(expected)).toBe(true);
  });

  it("keeps names that JavaScript objects treat specially", () => {
    const data = new Uint8Array(1);
    const names = ["__proto__", "constructor", "10", "9"];
    const tensors = names.map((name): SafetensorsTensor => ({ name, dtype: "U8", shape: [1], data }));
    const read = decodeSafetensors(encodeSafetensors(tensors, new Map([["__proto__", "x"]])));
    expect(read.names).toEqual(["10", "9", "__proto__", "constructor"]);
    expect(read.metadata.get("__proto__")).toBe("x");
  });

  it("refuses what is our own mistake: wrong sizes, names twice, the metadata's name, half characters", () => {
    const tensor: SafetensorsTensor = { name: "x", dtype: "F32", shape: [2], data: new Uint8Array(8) };
    expect(() => encodeSafetensors([{ ...tensor, data: new Uint8Array(4) }])).toThrow(InternalError);
    expect(() => encodeSafetensors([tensor, { ...tensor, dtype: "I32" }])).toThrow(/"x" is taken/);
    expect(() => encodeSafetensors([{ ...tensor, name: "__metadata__" }])).toThrow(/is taken/);
    expect(() => encodeSafetensors([{ ...tensor, name: "\ud800" }])).toThrow(InternalError);
  });

  it("maps element types both ways", () => {
    expect(safetensorsDTypes.map((dtype) => safetensorsDTypeOf(elementTypeOf(dtype)))).toEqual(
      safetensorsDTypes,
    );
    expect(safetensorsDTypeOf("string")).toBeUndefined();
  });
});

/** A file with the given header text and number of bytes after it. */
function fileOf(header: string, dataLength: number, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.byteLength + dataLength);
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.byteLength), true);
  file.set(text, 8);
  return file;
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offsets}]}`;

describe("claims that do not hold", () => {
  const refusals: [string, Uint8Array, string][] = [
    ["a file of 7 bytes", new Uint8Array(7), "E_SAFETENSORS_HEADER"],
    ["a header longer than the file", fileOf("{}", 0, 3n), "E_SAFETENSORS_HEADER"],
    ["a header of 2^63 bytes", fileOf("{}", 0, 1n << 63n), "E_SAFETENSORS_HEADER"],
    ["text that is not UTF-8", Uint8Array.from([2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff]), "E_SAFETENSORS_HEADER"],
    ["an empty header", fileOf("", 0), "E_SAFETENSORS_HEADER"],
    ["leading space", fileOf(" {}", 0), "E_SAFETENSORS_HEADER"],
    ["a list", fileOf("[]", 0), "E_SAFETENSORS_HEADER"],
    ["a second object", fileOf("{}{}", 0), "E_SAFETENSORS_HEADER"],
    ["an object that ends early", fileOf('{"x":{"dtype":"U8"', 0), "E_SAFETENSORS_HEADER"],
    ["a trailing comma", fileOf(`{"x":${entry("U8", "1", "0,1")},}`, 1), "E_SAFETENSORS_HEADER"],
    [
      "a name twice",
      fileOf(`{"x":${entry("U8", "1", "0,1")},"x":${entry("U8", "1", "1,2")}}`, 2),
      "E_SAFETENSORS_HEADER",
    ],
    [
      "a name twice by an escape",
      fileOf(`{"x":${entry("U8", "1", "0,1")},"\\u0078":${entry("U8", "1", "1,2")}}`, 2),
      "E_SAFETENSORS_HEADER",
    ],
    [
      "half a character as a name",
      fileOf(`{"\\ud800":${entry("U8", "1", "0,1")}}`, 1),
      "E_SAFETENSORS_HEADER",
    ],
    ["a raw control character", fileOf(`{"a\nb":${entry("U8", "1", "0,1")}}`, 1), "E_SAFETENSORS_HEADER"],
    ["metadata that is not text", fileOf('{"__metadata__":{"step":3}}', 0), "E_SAFETENSORS_HEADER"],
    ["a missing member", fileOf('{"x":{"dtype":"U8","shape":[1]}}', 1), "E_SAFETENSORS_HEADER"],
    [
      "an unknown member",
      fileOf('{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"a":1}}', 1),
      "E_SAFETENSORS_HEADER",
    ],
    ["three offsets", fileOf(`{"x":${entry("U8", "1", "0,1,1")}}`, 1), "E_SAFETENSORS_HEADER"],
    ["a negative size", fileOf(`{"x":${entry("U8", "-1", "0,1")}}`, 1), "E_SAFETENSORS_HEADER"],
    ["a fraction", fileOf(`{"x":${entry("U8", "1.0", "0,1")}}`, 1), "E_SAFETENSORS_HEADER"],
    ["an exponent", fileOf(`{"x":${entry("U8", "1e0", "0,1")}}`, 1), "E_SAFETENSORS_HEADER"],
    ["a leading zero", fileOf(`{"x":${entry("U8", "01", "0,1")}}`, 1), "E_SAFETENSORS_HEADER"],
    [
      "a size beyond 2^53",
      fileOf(`{"x":${entry("U8", "9007199254740993", "0,1")}}`, 1),
      "E_SAFETENSORS_HEADER",
    ],
    ["data that no tensor covers", fileOf(`{"x":${entry("U8", "1", "0,1")}}`, 2), "E_SAFETENSORS_HEADER"],
    ["data behind the end", fileOf(`{"x":${entry("U8", "2", "0,2")}}`, 1), "E_SAFETENSORS_TENSOR"],
    ["offsets in the wrong order", fileOf(`{"x":${entry("U8", "1", "1,0")}}`, 1), "E_SAFETENSORS_TENSOR"],
    [
      "tensors that overlap",
      fileOf(`{"x":${entry("U8", "2", "0,2")},"y":${entry("U8", "2", "1,3")}}`, 3),
      "E_SAFETENSORS_TENSOR",
    ],
    [
      "a gap between tensors",
      fileOf(`{"x":${entry("U8", "1", "0,1")},"y":${entry("U8", "1", "2,3")}}`, 3),
      "E_SAFETENSORS_TENSOR",
    ],
    ["a shape larger than the bytes", fileOf(`{"x":${entry("F32", "2", "0,4")}}`, 4), "E_SAFETENSORS_TENSOR"],
    [
      "a shape whose product overflows",
      fileOf(`{"x":${entry("U8", Array(40).fill("9007199254740991").join(","), "0,1")}}`, 1),
      "E_SAFETENSORS_TENSOR",
    ],
    ["an unknown dtype", fileOf(`{"x":${entry("F4", "2", "0,1")}}`, 1), "E_SAFETENSORS_DTYPE"],
    ["deep nesting", fileOf(`{"x":${"[".repeat(100_000)}`, 0), "E_SAFETENSORS_HEADER"],
  ];

  it.each(refusals)("refuses %s", (_, file, code) => {
    let thrown: unknown;
    try {
      decodeSafetensors(file, "bad.safetensors");
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(DiagnosticError);
    expect(thrown).toMatchObject({ code, diagnostics: [{ place: "bad.safetensors" }] });
  });

  it("refuses every file that is cut short", () => {
    const whole = readFileSync(fixture("dtypes"));
    for (let length = 0; length < whole.byteLength; length += 13) {
      expect(() => decodeSafetensors(whole.subarray(0, length))).toThrow(DiagnosticError);
    }
  });

  it("accepts a long name without recursion", () => {
    const name = "n".repeat(3_000_000);
    expect(decodeSafetensors(fileOf(`{"${name}":${entry("U8", "1", "0,1")}}`, 1)).names).toEqual([name]);
  });
});

describe("files", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "safetensors-"));
  });

  it("writes the same bytes as the encoder and leaves nothing else behind", async () => {
    const source = SafetensorsFile.open(fixture("dtypes"));
    const path = join(folder, "copy.safetensors");
    await writeSafetensors(path, tensorsOf(source), source.metadata);
    expect(readFileSync(path).equals(readFileSync(fixture("dtypes")))).toBe(true);
    expect(readdirSync(folder)).toEqual(["copy.safetensors"]);
  });

  it("tells where each tensor lies in the file", () => {
    const file = SafetensorsFile.open(fixture("dtypes"));
    const { begin, end } = file.entry("b.float32");
    expect(file.bytes("b.float32")).toEqual(
      new Uint8Array(readFileSync(fixture("dtypes")).subarray(begin, end)),
    );
  });

  it("keeps the old file and removes the temporary one when a tensor cannot be made", async () => {
    const path = join(folder, "state.safetensors");
    writeFileSync(path, "old");
    const tensor: SafetensorsTensor = {
      name: "x",
      dtype: "U8",
      shape: [1],
      data: () => {
        throw new Error("out of memory");
      },
    };
    await expect(writeSafetensors(path, [tensor])).rejects.toThrow("out of memory");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["state.safetensors"]);
  });

  it("notices that the file was written again", async () => {
    const path = join(folder, "state.safetensors");
    const data = new Uint8Array(2);
    await writeSafetensors(path, [{ name: "x", dtype: "U8", shape: [2], data }]);
    const file = SafetensorsFile.open(path);
    expect(file.bytes("x")).toEqual(data);
    await writeSafetensors(path, [{ name: "xy", dtype: "U8", shape: [2], data }]);
    expect(() => file.bytes("x")).toThrow(/E_FILE_CHANGED/);
  });

  it("says why a file cannot be opened", () => {
    expect(() => SafetensorsFile.open(join(folder, "none"))).toThrow(/E_FILE_READ[\s\S]*ENOENT/);
    expect(() => SafetensorsFile.open(folder)).toThrow(/E_FILE_READ|E_SAFETENSORS_HEADER/);
  });
});
