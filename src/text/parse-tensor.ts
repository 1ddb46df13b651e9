/** Reads the data of tensors, as literals in braces or as the place of a file. */
import { textErrors } from "../diagnostics/text.ts";
import { byteLength, type DType } from "../ir/dtype.ts";
import { Tensor, type TensorSource } from "../ir/tensor.ts";
import { formatType, type TensorType, tensorType, type ValueType } from "../ir/type.ts";
import type { Facts } from "./directive.ts";
import { ElementCollector, expectedLiteral, literalCount, type NumericDType } from "./elements.ts";
import {
  badFacts,
  itemFacts,
  locate,
  type ParseContext,
  readBareName,
  readList,
  readString,
} from "./parse-context.ts";

/**
 * Consumes the data of a tensor of the given type.
 *
 * @param at offset of the type, for messages.
 * @throws DiagnosticError E_TEXT_SYNTAX, E_TEXT_LITERAL, E_TEXT_TENSOR_SIZE, E_TEXT_LOCATION, E_TEXT_DIRECTIVE, E_TEXT_ELIDED.
 */
export function readData(
  context: ParseContext,
  type: ValueType,
  facts: Facts,
  at: number,
  name = "",
): Tensor {
  const { scanner } = context;
  const dims = numericDims(type);
  if (type.kind !== "tensor" || dims === undefined) {
    throw textErrors.E_TEXT_SYNTAX(
      scanner.place(at),
      "a tensor type with numbers as dimensions",
      formatType(type),
    );
  }
  if (facts.elided === true) throw textErrors.E_TEXT_ELIDED(scanner.place(at));
  const source = readSource(context, type.dtype, dims, facts, at);
  return new Tensor(type.dtype, dims, source, { name: facts.name ?? name, docString: facts.doc ?? "" });
}

/** Consumes what follows the type of a tensor in an attribute: a name, and data after an optional `=`. */
export function readTensor(context: ParseContext, type: TensorType, facts: Facts, at: number): Tensor {
  const { scanner } = context;
  const name = scanner.peekIdentifier() === undefined ? "" : readBareName(context, "the name of a tensor");
  scanner.matches("=");
  return readData(context, type, facts, at, name);
}

function numericDims(type: ValueType): readonly number[] | undefined {
  if (type.kind !== "tensor" || type.shape === undefined) return undefined;
  const dims = type.shape.filter((dim) => typeof dim === "number");
  return dims.length === type.shape.length && dims.every((dim) => dim >= 0) ? dims : undefined;
}

function readSource(
  context: ParseContext,
  dtype: DType,
  dims: readonly number[],
  facts: Facts,
  at: number,
): TensorSource {
  const { scanner } = context;
  if (scanner.matches("[")) return readRange(context, dtype, dims, at);
  if (!scanner.matches("{")) throw scanner.unexpected('data in "{" and "}", or "[" and the place of a file');
  if (dtype === "string") return readStrings(context, dims, facts, at);
  return { kind: "inline", bytes: readNumbers(context, dtype, dims, facts, at) };
}

const numeric = /-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|[A-Za-z]+)/y;

function readNumbers(
  context: ParseContext,
  dtype: NumericDType,
  dims: readonly number[],
  facts: Facts,
  at: number,
): Uint8Array {
  const { scanner } = context;
  const collector = new ElementCollector(dtype);
  readList(scanner, "}", () => {
    const from = scanner.at;
    const literal = scanner.matchPattern(numeric);
    if (literal === undefined) throw scanner.unexpected("a number");
    if (collector.add(literal)) return;
    throw textErrors.E_TEXT_LITERAL(scanner.place(from), expectedLiteral(dtype), scanner.describe(from));
  });
  checkCount(context, dtype, dims, literalCount(dtype, sizeOf(dims)), collector.count, at);
  for (const [position, bits] of facts.bits ?? []) {
    if (collector.setBits(position, bits)) continue;
    throw badFacts(
      context,
      at,
      `element ${position} cannot have bits ${bits}`,
      "a position and bits in hexadecimal",
    );
  }
  return collector.finish();
}

function readStrings(context: ParseContext, dims: readonly number[], facts: Facts, at: number): TensorSource {
  const { scanner } = context;
  const encoder = new TextEncoder();
  const values: Uint8Array[] = [];
  readList(scanner, "}", () => {
    const text = readString(scanner, "a string");
    const { base64, text: exact } = itemFacts(facts, values.length);
    values.push(base64 === undefined ? encoder.encode(exact ?? text) : Buffer.from(base64, "base64"));
  });
  checkCount(context, "string", dims, sizeOf(dims), values.length, at);
  return { kind: "strings", values };
}

function checkCount(
  context: ParseContext,
  dtype: DType,
  dims: readonly number[],
  wanted: number,
  found: number,
  at: number,
): void {
  if (wanted === found) return;
  const type = formatType(tensorType(dtype, dims));
  throw textErrors.E_TEXT_TENSOR_SIZE(
    context.scanner.place(at),
    type,
    `${wanted} literals`,
    `${found} literals`,
  );
}

/** External data as ONNX names it: `"location"`, `"offset"` and `"length"`; other keys say nothing about the place. */
function readRange(context: ParseContext, dtype: DType, dims: readonly number[], at: number): TensorSource {
  const { scanner } = context;
  const entries = new Map<string, string>();
  readList(scanner, "]", () => {
    const key = readString(scanner, "a key such as location");
    scanner.expect(":");
    entries.set(key, readString(scanner, "a value"));
  });
  const number = (key: string, otherwise: number): number => {
    const text = entries.get(key);
    if (text === undefined) return otherwise;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    throw textErrors.E_TEXT_LITERAL(
      scanner.place(at),
      `a whole number of bytes as "${key}"`,
      JSON.stringify(text),
    );
  };
  const size = byteLength(dtype, sizeOf(dims));
  const offset = number("offset", 0);
  const length = number("length", size);
  if (length !== size || dtype === "string") {
    const type = formatType(tensorType(dtype, dims));
    const expected = dtype === "string" ? "strings in the text" : `${size} bytes`;
    throw textErrors.E_TEXT_TENSOR_SIZE(scanner.place(at), type, expected, `${length} bytes of a file`);
  }
  return {
    kind: "file",
    range: { file: locate(context, entries.get("location") ?? "", at), offset, length },
  };
}

function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}
