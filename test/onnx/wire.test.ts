/** Messages: every field of ONNX is known, nothing is lost, and what protobuf wrote comes back byte for byte. */
import { readFileSync } from "node:fs";
import { onnx } from "onnx-proto";
import { describe, expect, test } from "vitest";
import { toInt } from "../../src/onnx/integers.ts";
import type { ModelMessage } from "../../src/onnx/messages.ts";
import { decodeModelMessage, encodeModelMessage } from "../../src/onnx/wire.ts";
import { errorCode } from "./error-code.ts";
import { fixture, modelFiles } from "./fixture-files.ts";
import { concat, field, number, varint } from "./wire-bytes.ts";

const small: ModelMessage = { ir_version: 10, graph: { name: "g" } };

describe("against the onnx package", () => {
  const bytes = readFileSync(fixture("every-field.onnx"));

  test("every field of every message has the value that Python sees", () => {
    const expected: unknown = JSON.parse(readFileSync(fixture("every-field.json"), "utf8"));
    expect(toJson(decodeModelMessage(bytes, "every-field"))).toEqual(expected);
  });

  test("encoding gives the same bytes", () => {
    expect(Buffer.from(encodeModelMessage(decodeModelMessage(bytes, "every-field")))).toEqual(bytes);
  });
});

describe("round trips", () => {
  const files = modelFiles();

  test("there are models to try", () => expect(files.length).toBeGreaterThan(10));

  test.each(files)("%s comes back byte for byte", (file) => {
    const bytes = readFileSync(file);
    expect(Buffer.compare(encodeModelMessage(decodeModelMessage(bytes, file)), bytes)).toBe(0);
  });

  test("onnx-proto, another reader, sees the same model", () => {
    const bytes = Uint8Array.from(readFileSync("fixtures/models/stories260k/model.onnx"));
    const theirs = onnx.ModelProto.decode(encodeModelMessage(decodeModelMessage(bytes, "model")));
    const ours = decodeModelMessage(bytes, "model");
    expect(theirs.graph?.node?.map(({ opType, input, output }) => ({ opType, input, output }))).toEqual(
      ours.graph?.node?.map(({ op_type, input = [], output = [] }) => ({ opType: op_type, input, output })),
    );
    const text = (bytes: Uint8Array = new Uint8Array()): string => Buffer.from(bytes).toString("base64");
    expect(theirs.graph?.initializer?.map(({ name, rawData }) => [name, text(rawData ?? undefined)])).toEqual(
      ours.graph?.initializer?.map(({ name, raw_data }) => [name, text(raw_data)]),
    );
  });

  test("unknown fields stay, in every kind of message", () => {
    const strange = concat(number(900, 7), field(901, "later"));
    const tensor = concat(number(2, 1), field(8, "w"), strange);
    const attribute = concat(field(1, "value"), field(5, tensor), number(20, 4), strange);
    const node = concat(field(4, "Constant"), field(5, attribute), strange);
    const dimension = concat(number(1, 3), strange);
    const type = concat(field(1, number(1, 1), field(2, field(1, dimension), strange), strange), strange);
    const info = concat(field(1, "x"), field(2, type), strange);
    const graph = concat(field(1, node), field(2, "g"), field(11, info), strange);
    const bytes = concat(number(1, 10), field(7, graph), strange);
    expect(encodeModelMessage(decodeModelMessage(bytes, "strange"))).toEqual(bytes);
  });

  test("a field that is absent is told from one that is empty", () => {
    const [absent, empty] = [small, { ...small, producer_name: "", model_version: 0 }].map((message) =>
      decodeModelMessage(encodeModelMessage(message), "small"),
    );
    expect(absent?.producer_name).toBeUndefined();
    expect(absent?.model_version).toBeUndefined();
    expect(empty?.producer_name).toBe("");
    expect(toInt(empty?.model_version)).toBe(0);
  });

  test("a message in two parts is joined, as protobuf says", () => {
    const bytes = concat(field(7, field(2, "first")), number(1, 10), field(7, field(10, "comment")));
    expect(decodeModelMessage(bytes, "two").graph).toMatchObject({ name: "first", doc_string: "comment" });
  });
});

describe("bytes that are no model", () => {
  const whole = encodeModelMessage(small);

  test.each([
    ["a length past the end", concat(varint(7 * 8 + 2), varint(1000), "abc"), "E_ONNX_MALFORMED"],
    ["a varint that ends in the middle", concat(whole, varint(8), Uint8Array.of(0x80)), "E_ONNX_MALFORMED"],
    ["a varint of eleven bytes", concat(varint(8), varint(1, 11)), "E_ONNX_MALFORMED"],
    ["field number 0", concat(varint(2), varint(0)), "E_ONNX_MALFORMED"],
    ["wire type 6", concat(varint(8 + 6), varint(0)), "E_ONNX_MALFORMED"],
    ["a name that is not UTF-8", field(7, field(2, Uint8Array.of(0x66, 0xff))), "E_ONNX_UTF8"],
    [
      "a long name that is not UTF-8",
      field(7, field(2, "a".repeat(200), Uint8Array.of(0xc3))),
      "E_ONNX_UTF8",
    ],
  ])("%s", (_, bytes, code) => {
    expect(errorCode(() => decodeModelMessage(bytes, "bad"))).toBe(code);
  });

  test("types nested in types without end", () => {
    let type = field(4, "");
    for (let depth = 0; depth < 200; depth++) type = field(4, field(1, type));
    const bytes = field(7, field(11, field(2, type)));
    expect(errorCode(() => decodeModelMessage(bytes, "deep"))).toBe("E_ONNX_NESTING");
  });
});

/** A decoded message as protobuf's JSON form has it: 64-bit numbers as text, bytes as base64. */
function toJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value !== "object" || value === null) return value;
  if (isHalves(value)) return String(toInt(value));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
}

function isHalves(value: object): value is { low: number; high: number; unsigned: boolean } {
  return "low" in value && "high" in value && "unsigned" in value;
}
