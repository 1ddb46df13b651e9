/** Reads the data of tensors, as literals in braces or as the place of a file. */
import { textErrors } from "../diagnostics/text.ts";
import { byteLength, type DType } from "../ir/dtype.ts";
import { countElements } from "../ir/shape.ts";
import { type ByteRange, Tensor, type TensorSource } from "../ir/tensor.ts";
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

/** What is known of a tensor before its data. */
interface Announced {
  readonly dims: readonly number[];
  readonly size: number;
  readonly name: string;
  readonly facts: Facts;
  /** Offset of its type, for messages. */
  readonly at: number;
}

/**
 * Consumes the data of a tensor of the given type.
 *
 * @param at offset of the type, for messages.
 * @throws DiagnosticError E_TEXT_SYNTAX, E_TEXT_LITERAL, E_TEXT_TENSOR_SIZE, E_TEXT_LOCATION, E_TEXT_DIRECTIVE,
 * E_TEXT_ELIDED.
 */
export function readData(
  context: ParseContext,
  type: ValueType,
  name: string,
  facts: Facts,
  at: number,
): Tensor {
  const { scanner } = context;
  const dims = numericDims(type);
  if (type.kind !== "tensor" || dims === undefined) {
    const expected = "a tensor type with numbers as dimensions";
    throw textErrors.E_TEXT_SYNTAX(scanner.place(at), expected, formatType(type));
  }
  if (facts.elided === true) throw textErrors.E_TEXT_ELIDED(scanner.place(at));
  const size = countElements(dims);
  const source = readSource(context, type.dtype, { dims, size, name, facts, at });
  return new Tensor(type.dtype, dims, source, { name: facts.name ?? name, docString: facts.doc ?? "" });
}

/** Consumes what follows the type of a tensor in an attribute: a name, and data after an optional `=`. */
export function readTensor(context: ParseContext, type: TensorType, facts: Facts, at: number): Tensor {
  const { scanner } = context;
  const name = scanner.peekIdentifier() === undefined ? "" : readBareName(context, "the name of a tensor");
  scanner.matches("=");
  return readData(context, type, name, facts, at);
}

function numericDims(type: ValueType): readonly number[] | undefined {
  if (type.kind !== "tensor" || type.shape === undefined) return undefined;
  const dims = type.shape.filter((dim) => typeof dim === "number");
  return dims.length === type.shape.length && dims.every((dim) => dim >= 0) ? dims : undefined;
}

function readSource(context: ParseContext, dtype: DType, tensor: Announced): TensorSource {
  const { scanner } = context;
  if (scanner.matches("[")) return { kind: "file", range: readRange(context, dtype, tensor) };
  if (!scanner.matches("{")) throw scanner.unexpected('data in "{" and "}", or "[" and the place of a file');
  if (dtype === "string") return { kind: "strings", values: readStrings(context, tensor) };
  return { kind: "inline", bytes: readNumbers(context, dtype, tensor) };
}

const number = /-?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|[A-Za-z]+)/y;

function readNumbers(context: ParseContext, dtype: NumericDType, tensor: Announced): Uint8Array {
  const { scanner } = context;
  const collector = new ElementCollector(dtype);
  readList(scanner, "}", () => {
    const from = scanner.at;
    const literal = scanner.matchPattern(number);
    if (literal === undefined) throw scanner.unexpected("a number");
    if (collector.add(literal)) return;
    throw textErrors.E_TEXT_LITERAL(scanner.place(from), expectedLiteral(dtype), scanner.describe(from));
  });
  const wanted = literalCount(dtype, tensor.size);
  if (collector.count !== wanted) {
    throw wrongSize(context, dtype, tensor, `${wanted} literals`, `${collector.count} literals`);
  }
  for (const [position, bits] of tensor.facts.bits ?? []) {
    if (collector.setBits(position, bits)) continue;
    const problem = `element ${position} cannot have bits ${bits}`;
    throw badFacts(context, tensor.at, problem, "a position and bits in hexadecimal");
  }
  return collector.finish();
}

function readStrings(context: ParseContext, tensor: Announced): Uint8Array[] {
  const { scanner } = context;
  const encoder = new TextEncoder();
  const values: Uint8Array[] = [];
  readList(scanner, "}", () => {
    const text = readString(scanner, "a string");
    const { base64, text: exact } = itemFacts(tensor.facts, values.length);
    values.push(base64 === undefined ? encoder.encode(exact ?? text) : Buffer.from(base64, "base64"));
  });
  if (values.length === tensor.size) return values;
  throw wrongSize(context, "string", tensor, `${tensor.size} strings`, `${values.length} strings`);
}

/** External data as ONNX names it: `"location"`, `"offset"` and `"length"`; other keys say nothing about the place. */
function readRange(context: ParseContext, dtype: DType, tensor: Announced): ByteRange {
  const { scanner, resolve, folder } = context;
  const entries = new Map<string, string>();
  readList(scanner, "]", () => {
    const key = readString(scanner, "a key such as location");
    scanner.expect(":");
    entries.set(key, readString(scanner, "a value"));
  });
  const bytes = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value)) return value;
    const place = scanner.place(tensor.at);
    throw textErrors.E_TEXT_LITERAL(place, `a whole number of bytes as "${key}"`, JSON.stringify(text));
  };
  const location = entries.get("location") ?? "";
  const offset = bytes("offset") ?? 0;
  const length = bytes("length");
  const size = byteLength(dtype, tensor.size);
  if (dtype === "string") throw wrongSize(context, dtype, tensor, "strings in the text", "bytes of a file");
  if (length !== undefined && length !== size) {
    throw wrongSize(context, dtype, tensor, `${size} bytes`, `${length} bytes of a file`);
  }
  if (resolve !== undefined) return resolve({ tensor: tensor.name, location, offset, length }, folder, size);
  return { file: locate(context, location, tensor.at), offset, length: size };
}

function wrongSize(
  context: ParseContext,
  dtype: DType,
  { dims, at }: Announced,
  expected: string,
  got: string,
): Error {
  const type = formatType(tensorType(dtype, dims));
  return textErrors.E_TEXT_TENSOR_SIZE(context.scanner.place(at), type, expected, got);
}
