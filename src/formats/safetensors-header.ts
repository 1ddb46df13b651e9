/** The JSON header of safetensors files: read by its own strict grammar, and written as the reference library does. */
import { InternalError } from "../diagnostics/define.ts";
import { HeaderScanner } from "./header-scanner.ts";

/**
 * Element types in the order in which the reference library lays tensors out, the last first: by alignment, and
 * among equals by the order of its own list.
 */
const layoutOrder = [
  "BOOL",
  "U8",
  "I8",
  "F8_E5M2",
  "F8_E4M3",
  "I16",
  "U16",
  "F16",
  "BF16",
  "I32",
  "U32",
  "F32",
  "F64",
  "I64",
  "U64",
] as const;

/** An element type as the format names it. */
export type SafetensorsDType = (typeof layoutOrder)[number];

export const safetensorsDTypes: readonly SafetensorsDType[] = layoutOrder;

/** One tensor of a header as it stands there, nothing checked but its form. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte and the byte after the last, counted from the end of the header. */
  readonly begin: number;
  readonly end: number;
}

export interface RawHeader {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

const metadataKey = "__metadata__";

/**
 * Reads the JSON text of a header: names with dtype, shape and offsets, and the metadata of strings. No other member,
 * no name twice; so its depth is bounded too.
 *
 * @param text The header without its length, padding included.
 * @throws DiagnosticError `E_SAFETENSORS_HEADER` that names `place`.
 */
export function parseHeader(text: string, place: string): RawHeader {
  const scanner = new HeaderScanner(text, place);
  if (!text.startsWith("{")) scanner.fail('"{" as the first character');
  const entries: HeaderEntry[] = [];
  let metadata: ReadonlyMap<string, string> = new Map();
  scanner.object((name) => {
    if (name === metadataKey) metadata = readMetadata(scanner);
    else entries.push(readEntry(scanner, name));
  });
  scanner.end();
  return { entries, metadata };
}

function readMetadata(scanner: HeaderScanner): Map<string, string> {
  const metadata = new Map<string, string>();
  scanner.object((key) => metadata.set(key, scanner.string()));
  return metadata;
}

function readEntry(scanner: HeaderScanner, name: string): HeaderEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object((key) => {
    if (key === "dtype") dtype = scanner.string();
    else if (key === "shape") shape = scanner.wholeNumbers();
    else if (key === "data_offsets") offsets = scanner.wholeNumbers();
    else scanner.fail(`only dtype, shape and data_offsets for tensor "${name}"`, `"${key}"`);
  });
  const [begin, end] = offsets ?? [];
  if (
    dtype === undefined ||
    shape === undefined ||
    begin === undefined ||
    end === undefined ||
    offsets?.length !== 2
  ) {
    return scanner.fail(`dtype, shape and two data_offsets for tensor "${name}"`, "not all of them");
  }
  return { name, dtype, shape, begin, end };
}

/** Compact JSON, metadata first, padded with spaces to a multiple of 8 bytes. */
export function formatHeader(
  entries: readonly HeaderEntry[],
  metadata: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  const members = entries.map(
    ({ name, dtype, shape, begin, end }) =>
      `${quote(name)}:{"dtype":"${dtype}","shape":[${shape.join(",")}],"data_offsets":[${begin},${end}]}`,
  );
  if (metadata.size > 0) {
    const pairs = [...metadata].map(([key, value]) => `${quote(key)}:${quote(value)}`);
    members.unshift(`"${metadataKey}":{${pairs.join(",")}}`);
  }
  const text = new TextEncoder().encode(`{${members.join(",")}}`);
  const padded = new Uint8Array(Math.ceil(text.byteLength / 8) * 8).fill(0x20);
  padded.set(text);
  return padded;
}

function quote(text: string): string {
  if (/\p{Surrogate}/u.test(text)) throw new InternalError(`"${text}" is not text that UTF-8 can carry`);
  return JSON.stringify(text);
}

/** Order in which the reference library lays tensors out: by dtype, then by the UTF-8 bytes of the name. */
export function compareLayout(
  a: { readonly dtype: SafetensorsDType; readonly name: string },
  b: { readonly dtype: SafetensorsDType; readonly name: string },
): number {
  return layoutOrder.indexOf(b.dtype) - layoutOrder.indexOf(a.dtype) || compareCodePoints(a.name, b.name);
}

/** The order of UTF-8 bytes is that of code points; JavaScript's own is that of UTF-16 units. */
function compareCodePoints(a: string, b: string): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  // Where the second unit of a pair differs, the first is the same, and units order as code points do.
  return (a.codePointAt(i) ?? -1) - (b.codePointAt(i) ?? -1);
}
