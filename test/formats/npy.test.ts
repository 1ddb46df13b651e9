/** npy and npz against files that NumPy wrote, and refusal of damaged and unsupported ones. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { float16BitsToFloat32 } from "../../src/formats/half.ts";
import { decodeNpy, type NpyArray } from "../../src/formats/npy.ts";
import { NpzReader } from "../../src/formats/npz.ts";

const read = (name: string): Buffer => readFileSync(`fixtures/formats/${name}`);

/** Elements as numbers, booleans or, for integers, decimal text, nested by the array's shape. */
function nested({ dtype, shape, data }: NpyArray): unknown {
  const elements = [...data].map((element: number | bigint): unknown => {
    if (dtype === "bool") return element === 1;
    if (dtype === "float16") return float16BitsToFloat32(Number(element));
    return dtype.includes("int") ? String(element) : element;
  });
  return shape.reduceRight((list, dim, axis) => (axis === 0 ? list : chunk(list, dim)), elements);
}

const chunk = (list: readonly unknown[], size: number): unknown[] =>
  Array.from({ length: list.length / size }, (_, i) => list.slice(i * size, (i + 1) * size));

describe("npy", () => {
  const expected: Record<string, unknown> = JSON.parse(read("npy-values.json").toString());
  const dtypes: Record<string, string> = {
    f2: "float16",
    f4: "float32",
    f8: "float64",
    i1: "int8",
    i2: "int16",
    i4: "int32",
    i8: "int64",
    u1: "uint8",
    u2: "uint16",
    u4: "uint32",
    u8: "uint64",
    bool: "bool",
    fortran: "int32",
  };

  it.each(Object.entries(dtypes))("reads %s as %s", (name, dtype) => {
    const array = decodeNpy(read(`${name}.npy`));
    expect(array.dtype).toBe(dtype);
    expect(nested(array)).toEqual(expected[name]);
  });

  it("turns Fortran order into C order", () => {
    const { shape, data } = decodeNpy(read("fortran.npy"));
    expect(shape).toEqual([2, 3, 4]);
    expect([...data]).toEqual(Array.from({ length: 24 }, (_, i) => i));
  });

  it("reads a scalar, an empty array and format version 2", () => {
    expect(decodeNpy(read("scalar.npy"))).toEqual({
      dtype: "float32",
      shape: [],
      data: Float32Array.of(2.5),
    });
    expect(decodeNpy(read("empty.npy"))).toEqual({
      dtype: "float32",
      shape: [0, 4],
      data: new Float32Array(),
    });
    expect(decodeNpy(read("version2.npy"))).toEqual(decodeNpy(read("f4.npy")));
  });

  it("reads from any offset of a larger buffer", () => {
    const file = read("f8.npy");
    const shifted = new Uint8Array(file.byteLength + 3);
    shifted.set(file, 3);
    expect(decodeNpy(shifted.subarray(3))).toEqual(decodeNpy(file));
  });

  it.each([
    ["big-endian", "big-endian byte order"],
    ["complex", "complex numbers"],
    ["text", "text"],
    ["structured", "several fields"],
    ["object", "Python objects"],
  ])("refuses %s and says why", (name, reason) => {
    expect(() => decodeNpy(read(`${name}.npy`), "x.npy")).toThrow(
      new RegExp(`E_NPY_DTYPE .*${reason}[\\s\\S]*x\\.npy`),
    );
  });

  it("refuses a file that is cut short, too long, of another format or of a later version", () => {
    const file = read("f4.npy");
    for (const length of [0, 9, 11, 60, file.byteLength - 1]) {
      expect(() => decodeNpy(file.subarray(0, length))).toThrow(/E_NPY_HEADER/);
    }
    expect(() => decodeNpy(Buffer.concat([file, Buffer.of(0)]))).toThrow(/E_NPY_HEADER/);
    expect(() => decodeNpy(read("stored.npz"))).toThrow(/E_NPY_HEADER/);
    const later = Buffer.from(file);
    later[6] = 4;
    expect(() => decodeNpy(later)).toThrow(/version 4/);
    const nameless = Buffer.from(file.toString("latin1").replace("'shape'", "'shapf'"), "latin1");
    expect(() => decodeNpy(nameless)).toThrow(/descr, fortran_order and shape/);
  });
});

describe("npz", () => {
  it("reads stored and deflated archives", () => {
    const stored = new NpzReader(read("stored.npz"));
    expect(stored.names).toEqual(["input_ids", "labels"]);
    expect(stored.array("input_ids")).toEqual({
      dtype: "int64",
      shape: [3, 2],
      data: BigInt64Array.of(0n, 1n, 2n, 3n, 4n, 5n),
    });
    const deflated = new NpzReader(read("deflated.npz"));
    expect(deflated.array("zeros")).toEqual({
      dtype: "float32",
      shape: [100, 10],
      data: new Float32Array(1000),
    });
    expect(deflated.array("mask").dtype).toBe("bool");
  });

  it("lists what there is when an array is missing", () => {
    const archive = new NpzReader(read("stored.npz"), "data.npz");
    expect(() => archive.array("ids")).toThrow(/E_NPZ_MISSING[\s\S]*"input_ids", "labels"/);
  });

  it("finds the directory behind a comment that holds its signature", () => {
    const file = read("stored.npz");
    const comment = Buffer.from("PK\u0005\u0006 and more than twenty-two bytes after it");
    const commented = Buffer.concat([file, comment]);
    commented.writeUInt16LE(comment.byteLength, file.byteLength - 2);
    expect(new NpzReader(commented).names).toEqual(["input_ids", "labels"]);
  });

  /** A copy with one change at an offset from the `index`-th directory entry, or from the end record. */
  function damaged(name: string, signature: string, at: number, value: number, bytes = 4): Buffer {
    const copy = Buffer.from(read(name));
    copy.writeUIntLE(value, copy.indexOf(signature, "latin1") + at, bytes);
    return copy;
  }
  const directory = "PK\u0001\u0002";
  const end = "PK\u0005\u0006";

  it.each([
    ["a size above the true one", damaged("deflated.npz", directory, 24, 5000)],
    ["a size below the true one", damaged("deflated.npz", directory, 24, 100)],
    ["a size of zero", damaged("deflated.npz", directory, 24, 0)],
    ["a size of almost 4 GiB", damaged("deflated.npz", directory, 24, 0xfffffffe)],
    ["a wrong checksum", damaged("stored.npz", directory, 16, 1)],
    ["a damaged byte", damaged("stored.npz", "NUMPY", 130, 77, 1)],
    ["a damaged stream", damaged("deflated.npz", "PK\u0003\u0004", 60, 0xffffff, 3)],
    ["a packed size beyond the file", damaged("stored.npz", directory, 20, 1 << 20)],
    ["a file header outside the file", damaged("stored.npz", directory, 42, 1 << 20)],
    ["a file header that is none", damaged("stored.npz", directory, 42, 5)],
    ["encryption", damaged("stored.npz", directory, 8, 1, 2)],
    ["another method", damaged("stored.npz", directory, 10, 12, 2)],
    ["a ZIP64 size", damaged("stored.npz", directory, 24, 0xffffffff)],
  ])("refuses %s when the array is read", (_, archive) => {
    const opened = new NpzReader(archive, "bad.npz");
    expect(() => opened.array(opened.names[0] ?? "")).toThrow(/E_ZIP[\s\S]*bad\.npz/);
  });

  it.each([
    ["more entries than there are", damaged("stored.npz", end, 8, 0x00030003)],
    ["a directory outside the file", damaged("stored.npz", end, 16, 1 << 20)],
    ["several volumes", damaged("stored.npz", end, 4, 1, 2)],
    ["a name that runs past the directory", damaged("stored.npz", directory, 28, 5000, 2)],
    ["no directory", Buffer.alloc(100)],
    ["an empty file", Buffer.alloc(0)],
  ])("refuses %s when the archive is opened", (_, archive) => {
    expect(() => new NpzReader(archive)).toThrow(/E_ZIP/);
  });

  it("refuses a name that occurs twice", () => {
    const copy = read("stored.npz");
    const from = copy.lastIndexOf("labels.npy");
    // The directory is made to list the second file twice.
    const second = copy.lastIndexOf(directory, from, "latin1");
    const entry = copy.subarray(second, copy.indexOf(end, 0, "latin1"));
    const archive = Buffer.concat([
      copy.subarray(0, second),
      entry,
      entry,
      copy.subarray(second + entry.byteLength),
    ]);
    const at = archive.lastIndexOf(end, undefined, "latin1");
    archive.writeUInt32LE(0x00030003, at + 8);
    archive.writeUInt32LE(archive.readUInt32LE(at + 12) + entry.byteLength, at + 12);
    expect(() => new NpzReader(archive)).toThrow(/"labels.npy" twice/);
  });

  it("throws only diagnostics on archives with any one byte changed", () => {
    const file = read("stored.npz");
    for (let at = 0; at < file.byteLength; at++) {
      const copy = Buffer.from(file);
      copy[at] = (copy[at] ?? 0) ^ 0x55;
      try {
        const archive = new NpzReader(copy);
        archive.names.forEach((name) => archive.array(name));
      } catch (error) {
        expect(error).toBeInstanceOf(DiagnosticError);
      }
    }
  });
});
