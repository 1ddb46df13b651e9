/** Reading structure without weights: what is read, what is left, and files that lie about their lengths. */
import { closeSync, ftruncateSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type ByteSource, fileSource, memorySource } from "../../src/onnx/byte-source.ts";
import { readModel } from "../../src/onnx/read.ts";
import { skimModel } from "../../src/onnx/skim.ts";
import { decodeModelMessage, encodeModelMessage } from "../../src/onnx/wire.ts";
import { errorCode } from "./error-code.ts";
import { makePipe, modelFiles, temporaryFolder } from "./fixture-files.ts";
import { concat, field, number, varint } from "./wire-bytes.ts";

/** A source that counts the bytes that are copied out of it. */
function counted(bytes: Uint8Array): { readonly source: ByteSource; readonly copied: () => number } {
  const inner = memorySource(bytes, "counted");
  let copied = 0;
  const copy: ByteSource["copy"] = (offset, length) => {
    copied += length;
    return inner.copy(offset, length);
  };
  return { source: { ...inner, copy }, copied: () => copied };
}

const weights = new Uint8Array(1 << 20).fill(7);
const tensor = concat(number(1, 1 << 18), number(2, 1), field(8, "w"), field(9, weights));
const model = concat(number(1, 10), field(7, field(2, "g"), field(5, tensor), field(10, "after")));

describe("weights", () => {
  test("are not read, and everything around them is", () => {
    const { source, copied } = counted(model);
    const { skeleton, ranges } = skimModel(source);
    const behind = field(10, "after").length;
    expect(ranges).toEqual([
      { field: 9, offset: model.length - behind - weights.length, length: weights.length },
    ]);
    expect(copied()).toBeLessThan(200);
    const graph = decodeModelMessage(skeleton, "skeleton").graph;
    expect(graph).toMatchObject({ name: "g", doc_string: "after" });
    expect(graph?.initializer?.[0]).toMatchObject({ name: "w", weight_index: [0] });
  });

  test("of fixture models: the skeleton is what is left when their bytes are taken out", () => {
    for (const file of modelFiles()) {
      const source = fileSource(file);
      const { skeleton, ranges } = skimModel(source);
      source.close();
      const left = source.size - ranges.reduce((sum, { length }) => sum + length, 0);
      // An index takes at most 3 bytes more than the tag and length it stands for, and enclosing lengths shrink.
      expect(skeleton.length).toBeLessThanOrEqual(left + ranges.length * 3);
      expect(skeleton.length).toBeGreaterThan(left - ranges.length * 12);
    }
  });

  test("in bodies, attributes, functions and sparse tensors are left out as well", () => {
    const constant = field(
      1,
      field(4, "Constant"),
      field(2, "c"),
      field(5, field(1, "value"), field(5, tensor)),
    );
    const sparse = field(15, field(1, tensor), field(2, tensor));
    const body = field(1, field(4, "If"), field(5, field(1, "then_branch"), field(6, constant, sparse)));
    const list = field(1, field(5, field(10, tensor), field(11, constant), field(23, field(1, tensor))));
    const fn = field(25, field(7, field(5, field(5, tensor))), field(11, field(5, tensor)));
    const bytes = concat(number(1, 10), field(7, body, list, constant), fn);
    const { skeleton, ranges } = skimModel(memorySource(bytes, "nested"));
    expect(ranges.length).toBe(9);
    expect(skeleton.length).toBeLessThan(500);
  });

  test("a model without any is kept as it is", () => {
    const bytes = encodeModelMessage({ ir_version: 10, graph: { name: "g", doc_string: "x".repeat(5000) } });
    const { skeleton, ranges } = skimModel(memorySource(bytes, "plain"));
    expect(skeleton).toEqual(bytes);
    expect(ranges).toEqual([]);
  });

  test("beyond 4 GiB in a file that is mostly holes", () => {
    const path = join(temporaryFolder(), "large.onnx");
    const size = 2 ** 31 + 4;
    const head = (name: string): Uint8Array =>
      concat(number(1, size / 4), number(2, 1), field(8, name), varint(9 * 8 + 2), varint(size));
    const tensors = ["a", "b", "c"].map((name) => {
      const start = head(name);
      return { start: concat(varint(5 * 8 + 2), varint(start.length + size), start), size };
    });
    const tail = concat(field(2, "after the holes"));
    const graphSize = tensors.reduce((sum, { start }) => sum + start.length + size, 0) + tail.length;
    const file = openSync(path, "w");
    let at = 0;
    const put = (bytes: Uint8Array): void => {
      writeSync(file, bytes, 0, bytes.length, at);
      at += bytes.length;
    };
    put(concat(number(1, 10), varint(7 * 8 + 2), varint(graphSize)));
    for (const { start } of tensors) {
      put(start);
      at += size;
    }
    writeSync(file, Uint8Array.of(1, 2, 3, 4), 0, 4, at - 4);
    put(tail);
    ftruncateSync(file, at);
    closeSync(file);
    expect(statSync(path).size).toBeGreaterThan(6 * 2 ** 30);

    const { graph } = readModel(path);
    expect(graph.name).toBe("after the holes");
    const [, , last] = [...graph.initializers];
    expect(last?.initializer?.source).toMatchObject({
      kind: "file",
      range: { length: size, offset: at - tail.length - size },
    });
  });
});

describe("files that lie", () => {
  const inGraph = (bytes: Uint8Array): Uint8Array => concat(number(1, 10), field(7, bytes));
  const claim = (fieldNumber: number, length: number | bigint): Uint8Array =>
    concat(varint(fieldNumber * 8 + 2), varint(length), "abc");
  const long = field(10, "x".repeat(2000));
  const nested = (depth: number): Uint8Array => {
    let graph = long;
    for (let i = 0; i < depth; i++) graph = field(1, field(5, field(6, graph)));
    return inGraph(graph);
  };

  test.each([
    ["a graph longer than the file", concat(number(1, 10), claim(7, 5000)), "E_ONNX_TRUNCATED"],
    ["a length of 2^63", concat(number(1, 10), claim(7, 2n ** 63n)), "E_ONNX_TRUNCATED"],
    ["a tensor longer than its graph", concat(inGraph(concat(long, claim(5, 20))), long), "E_ONNX_TRUNCATED"],
    ["a length of eleven bytes", concat(varint(7 * 8 + 2), varint(4, 11), "abcd"), "E_ONNX_MALFORMED"],
    ["a length that ends in the middle", concat(varint(7 * 8 + 2), Uint8Array.of(0x80)), "E_ONNX_TRUNCATED"],
    ["a fixed field that ends in the middle", concat(varint(90 * 8 + 1), "abc"), "E_ONNX_TRUNCATED"],
    ["a group", concat(varint(90 * 8 + 3), varint(90 * 8 + 4)), "E_ONNX_MALFORMED"],
    ["field number 0", concat(varint(2), varint(0)), "E_ONNX_MALFORMED"],
    ["a field number of 2^29", number(2 ** 29, 1), "E_ONNX_MALFORMED"],
    ["our own field", inGraph(field(5, number(2 ** 29 - 1, 0), field(9, weights))), "E_ONNX_MALFORMED"],
    [
      "our own field in a small tensor",
      inGraph(field(5, number(2, 1), number(2 ** 29 - 1, 0))),
      "E_TENSOR_DATA",
    ],
    ["bodies nested 40 deep", nested(40), "E_ONNX_NESTING"],
    ["nothing at all", new Uint8Array(), "E_ONNX_NO_GRAPH"],
    ["text", concat("not a model".repeat(300)), "E_ONNX_MALFORMED"],
  ])("%s", (_, bytes, code) => {
    expect(errorCode(() => readModel(bytes))).toBe(code);
  });

  test("bodies nested 20 deep are fine", () => {
    expect(skimModel(memorySource(nested(20), "deep")).ranges).toEqual([]);
  });

  test.skipIf(process.platform === "win32")("a pipe is refused and not waited for", () => {
    const pipe = join(temporaryFolder(), "pipe.onnx");
    makePipe(pipe);
    expect(errorCode(() => readModel(pipe))).toBe("E_ONNX_NOT_A_FILE");
  });

  test("a folder and a file that is not there", () => {
    const folder = temporaryFolder();
    expect(errorCode(() => readModel(folder))).toBe("E_ONNX_NOT_A_FILE");
    expect(errorCode(() => readModel(join(folder, "none.onnx")))).toBe("E_ONNX_NOT_FOUND");
  });
});
