/** Prints the data of tensors: literals in braces, or the place in a file as ONNX external data. */
import { isAbsolute, relative, sep } from "node:path";
import { textErrors } from "../diagnostics/text.ts";
import type { SparseTensor } from "../ir/attribute.ts";
import { int64Tensor } from "../ir/constant.ts";
import type { ByteRange, Tensor } from "../ir/tensor.ts";
import { type Facts, someEntries, someFacts } from "./directive.ts";
import { printElements } from "./elements.ts";
import { isExpressible, quote, typeName } from "./grammar.ts";
import type { PrintContext } from "./print-context.ts";

/** A text and what a directive has to add to it. */
export interface Printed {
  readonly text: string;
  readonly facts?: Facts | undefined;
}

/** A tensor as an attribute holds it, such as `float[2] name {1, 2}`. */
export function printTensor(tensor: Tensor, context: PrintContext): Printed {
  const name = tensor.name === "" ? "" : ` ${context.aliases.identifier(tensor.name)}`;
  const { text, facts } = printData(tensor, context);
  const doc = tensor.docString === "" ? undefined : tensor.docString;
  const equals = text.startsWith("[") ? " =" : "";
  return { text: `${printTensorType(tensor)}${name}${equals} ${text}`, facts: someFacts({ doc, ...facts }) };
}

/** Element type and dimensions, such as `float[2,3]`. */
export function printTensorType({ dtype, dims }: Tensor): string {
  return typeName(dtype) + (dims.length === 0 ? "" : `[${dims.join(",")}]`);
}

/** The three tensors that stand for a sparse one: values, indices and dimensions. */
export function printSparse(sparse: SparseTensor, context: PrintContext): readonly Printed[] {
  return [sparse.values, sparse.indices, int64Tensor(sparse.dims)].map((part) => printTensor(part, context));
}

/**
 * Data as `{...}` or, for weights in files, as `["location": ...]`.
 *
 * @throws DiagnosticError E_TEXT_WEIGHTS when a file cannot be read.
 */
export function printData(tensor: Tensor, context: PrintContext): Printed {
  const { source, size } = tensor;
  if (source.kind === "file" && size > context.inlineElements) {
    return { text: printRange(source.range, context.folder) };
  }
  if (size > context.elideElements) return { text: "{}", facts: { elided: true } };
  if (source.kind === "strings" || tensor.dtype === "string") {
    const values = source.kind === "strings" ? source.values : [];
    const items = values.map(printString);
    return {
      text: `{${items.map(({ text }) => text).join(", ")}}`,
      facts: someFacts({ items: itemFacts(items) }),
    };
  }
  const { literals, bits } = printElements(tensor.dtype, readData(tensor));
  return { text: `{${literals.join(", ")}}`, facts: someFacts({ bits: someEntries(bits) }) };
}

/** Facts on the elements of a list, by position. */
export function itemFacts(items: readonly Printed[]): ReadonlyMap<string, Facts> | undefined {
  return someEntries(items.map(({ facts }, index) => [String(index), facts] as const));
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A string, quoted; where quotes cannot hold it, an approximation and the true string as a fact. */
export function printString(value: string | Uint8Array): Printed {
  if (typeof value === "string") {
    return isExpressible(value)
      ? { text: quote(value) }
      : { text: quote(approximate(value)), facts: { text: value } };
  }
  try {
    return printString(decoder.decode(value));
  } catch {
    const text = quote(approximate(new TextDecoder().decode(value)));
    return { text, facts: { base64: Buffer.from(value).toString("base64") } };
  }
}

function approximate(text: string): string {
  return text.replace(/[\0\p{Surrogate}]/gu, "\ufffd");
}

function printRange({ file, offset, length }: ByteRange, folder: string): string {
  const path = relative(folder, file);
  const inside = !isAbsolute(path) && path.split(sep)[0] !== "..";
  const location = inside ? path.split(sep).join("/") : file;
  return `["location": ${quote(location)}, "offset": "${offset}", "length": "${length}"]`;
}

function readData(tensor: Tensor): Uint8Array {
  if (tensor.source.kind !== "file") return tensor.bytes();
  try {
    return tensor.bytes();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw textErrors.E_TEXT_WEIGHTS(tensor.name, tensor.source.range.file, reason);
  }
}
