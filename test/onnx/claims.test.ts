/** What a file says of tensors, types, attributes and versions: checked before it is believed. */
import { describe, expect, test } from "vitest";
import { formatType } from "../../src/ir/type.ts";
import type { ModelMessage, TensorMessage } from "../../src/onnx/messages.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModelMessage } from "../../src/onnx/wire.ts";
import { errorCode } from "./error-code.ts";
import { initializersOf, inModel, inTensor, withAttributes } from "./small-models.ts";

describe("tensors that lie", () => {
  const eight = new Uint8Array(8);

  test.each<[string, TensorMessage, string]>([
    ["no type", { dims: [2], raw_data: eight }, "E_TENSOR_TYPE"],
    ["a type from the future", { dims: [2], data_type: 99, raw_data: eight }, "E_TENSOR_TYPE"],
    ["a negative dimension", { dims: [-2], data_type: 1, raw_data: eight }, "E_TENSOR_DIMS"],
    ["a dimension of 2^62", { dims: [2 ** 62], data_type: 1, raw_data: eight }, "E_TENSOR_DIMS"],
    ["dimensions whose product overflows", { dims: Array(4).fill(2 ** 31), data_type: 1 }, "E_TENSOR_DIMS"],
    ["dimensions that overflow to 0", { dims: [2 ** 32, 2 ** 32], data_type: 1 }, "E_TENSOR_DIMS"],
    [
      "a rank of 100",
      { dims: Array(100).fill(1), data_type: 1, raw_data: new Uint8Array(4) },
      "E_TENSOR_DIMS",
    ],
    ["too few bytes", { dims: [3], data_type: 1, raw_data: eight }, "E_TENSOR_SIZE"],
    ["too many bytes", { dims: [1], data_type: 1, raw_data: eight }, "E_TENSOR_SIZE"],
    ["no data", { dims: [3], data_type: 1 }, "E_TENSOR_SIZE"],
    ["a terabyte of which nothing is there", { dims: [2 ** 40], data_type: 2 }, "E_TENSOR_SIZE"],
    ["too few entries", { dims: [3], data_type: 1, float_data: [1, 2] }, "E_TENSOR_SIZE"],
    ["too many entries", { dims: [1], data_type: 7, int64_data: [1, 2] }, "E_TENSOR_SIZE"],
    ["a terabyte of packed entries", { dims: [2 ** 40], data_type: 6, int32_data: [1] }, "E_TENSOR_SIZE"],
    ["strings that are missing", { dims: [2], data_type: 8, string_data: [eight] }, "E_TENSOR_SIZE"],
    ["strings in raw_data", { dims: [1], data_type: 8, raw_data: eight }, "E_TENSOR_SIZE"],
    ["data twice", { dims: [2], data_type: 1, raw_data: eight, float_data: [1, 2] }, "E_TENSOR_DATA"],
    ["floats in the field for integers", { dims: [1], data_type: 1, int32_data: [1] }, "E_TENSOR_DATA"],
    [
      "a segment",
      { dims: [2], data_type: 1, raw_data: eight, segment: { begin: 0, end: 2 } },
      "E_TENSOR_DATA",
    ],
    [
      "long data twice",
      { dims: [512], data_type: 1, raw_data: new Uint8Array(2048), float_data: [1] },
      "E_TENSOR_DATA",
    ],
    [
      "long floats for integers",
      { dims: [512], data_type: 6, float_data: Array(512).fill(1) },
      "E_TENSOR_DATA",
    ],
    [
      "long data of another size",
      { dims: [511], data_type: 1, raw_data: new Uint8Array(2048) },
      "E_TENSOR_SIZE",
    ],
    [
      "more entries than bytes",
      { dims: [2 ** 40], data_type: 6, int32_data: Array(2000).fill(1) },
      "E_TENSOR_SIZE",
    ],
    [
      "bytes beyond all entries",
      { dims: [100], data_type: 6, int32_data: Array(2000).fill(1) },
      "E_TENSOR_SIZE",
    ],
  ])("%s", (_, tensor, code) => {
    expect(errorCode(() => readModel(inTensor(tensor)))).toBe(code);
  });

  test.each([
    ["fewer", 1500],
    ["more", 2500],
  ])("%s packed entries than the shape needs are noticed when they are read", (_, count) => {
    const bytes = inTensor({ dims: [2000], data_type: 6, int32_data: Array(count).fill(300) });
    const tensor = initializersOf(readModel(bytes).graph).get("w");
    expect(errorCode(() => tensor?.bytes())).toBe("E_TENSOR_SIZE");
  });

  test("nothing is fine where nothing is needed", () => {
    const empty = readModel(inTensor({ dims: [0, 3], data_type: 1 })).graph;
    expect(initializersOf(empty).get("w")?.bytes().length).toBe(0);
  });
});

describe("other claims", () => {
  const type = (elem_type: number) => ({ tensor_type: { elem_type } });

  test.each<[string, ModelMessage, string]>([
    ["no graph", { ir_version: 10 }, "E_ONNX_NO_GRAPH"],
    ["no IR version", { graph: {} }, "E_ONNX_IR_VERSION"],
    ["IR version 0", { ir_version: 0, graph: {} }, "E_ONNX_IR_VERSION"],
    ["an import without version", { ir_version: 10, graph: {}, opset_import: [{}] }, "E_ONNX_OPSET"],
    [
      "two versions",
      { ir_version: 10, graph: {}, opset_import: [{ version: 17 }, { domain: "ai.onnx", version: 18 }] },
      "E_ONNX_OPSET",
    ],
    [
      "an input of an unknown type",
      { ir_version: 10, graph: { input: [{ name: "x", type: type(77) }] } },
      "E_TENSOR_TYPE",
    ],
    [
      "an attribute twice",
      withAttributes({ name: "a", type: 2, i: 1 }, { name: "a", type: 2, i: 2 }),
      "E_ONNX_DUPLICATE",
    ],
    ["an attribute of an unknown type", withAttributes({ name: "a", type: 77 }), "E_ONNX_ATTRIBUTE"],
    ["an attribute of no type", withAttributes({ name: "a" }), "E_ONNX_ATTRIBUTE"],
    ["a tensor attribute without tensor", withAttributes({ name: "a", type: 4, i: 3 }), "E_ONNX_ATTRIBUTE"],
    ["a type attribute without type", withAttributes({ name: "a", type: 13 }), "E_ONNX_ATTRIBUTE"],
    [
      "a sparse initializer at opset 10",
      { ir_version: 10, opset_import: [{ version: 10 }], graph: { sparse_initializer: [{}] } },
      "E_ONNX_SPARSE",
    ],
  ])("%s", (_, message, code) => {
    expect(errorCode(() => readModel(encodeModelMessage(message)))).toBe(code);
  });

  test("an unknown element type of 0, and negative sizes, say nothing", () => {
    const shape = { dim: [{ dim_value: -1 }, { dim_param: "" }, { dim_param: "n" }, {}] };
    const input = [
      { name: "x", type: type(0) },
      { name: "y", type: { tensor_type: { elem_type: 1, shape } } },
    ];
    const { inputs } = readModel(inModel({ input })).graph;
    expect(inputs[0]?.type).toBeUndefined();
    expect(formatType(inputs[1]?.type)).toMatch(/^float32\[\?\d+, \?\d+, n, \?\d+\]$/);
  });

  test("attributes of all kinds", () => {
    const float = { name: "t", data_type: 1, float_data: [1.5] };
    const sparse = {
      values: { data_type: 1, dims: [1], float_data: [1] },
      indices: { data_type: 7, dims: [1], int64_data: [0] },
      dims: [4],
    };
    const node = withAttributes(
      { name: "f", type: 1, f: 0.5 },
      { name: "i", type: 2, i: { low: 1, high: 1 << 30, unsigned: false } },
      { name: "zero", type: 2 },
      { name: "s", type: 3, s: Buffer.from("text") },
      { name: "b", type: 3, s: Uint8Array.of(255) },
      { name: "t", type: 4, t: float },
      { name: "g", type: 5, g: { name: "body" } },
      { name: "fs", type: 6, floats: [1, 2] },
      { name: "is", type: 7, ints: [1, -2] },
      { name: "ss", type: 8, strings: [Buffer.from("a")] },
      { name: "ts", type: 9, tensors: [float, float] },
      { name: "gs", type: 10, graphs: [{ name: "one" }, { name: "two" }] },
      { name: "sp", type: 11, sparse_tensor: sparse },
      { name: "sps", type: 12, sparse_tensors: [sparse] },
      {
        name: "tp",
        type: 13,
        tp: { optional_type: { elem_type: { sequence_type: { elem_type: type(7) } } } },
      },
      {
        name: "tps",
        type: 14,
        type_protos: [
          { map_type: { key_type: 8, value_type: type(1) } },
          { opaque_type: { domain: "d", name: "n" } },
        ],
      },
      { name: "old", ints: [3] },
    );
    const attributes = readModel(encodeModelMessage(node)).graph.first?.attributes;
    const value = (name: string): unknown => attributes?.get(name)?.value;
    expect([value("f"), value("i"), value("zero"), value("s")]).toEqual([0.5, 2n ** 62n + 1n, 0, "text"]);
    expect(value("b")).toEqual(Uint8Array.of(255));
    expect([value("fs"), value("is"), value("ss"), value("old")]).toEqual([[1, 2], [1, -2], ["a"], [3]]);
    expect(value("tp")).toEqual({
      kind: "optional",
      element: { kind: "sequence", element: { kind: "tensor", dtype: "int64" } },
    });
    expect(value("tps")).toEqual([
      { kind: "map", key: "string", value: { kind: "tensor", dtype: "float32" } },
      { kind: "opaque", domain: "d", name: "n" },
    ]);
    expect([...(attributes?.keys() ?? [])].map((name) => attributes?.get(name)?.kind)).toEqual(
      "float int int string string tensor graph floats ints strings tensors graphs sparse sparses type types ints".split(
        " ",
      ),
    );
  });
});
