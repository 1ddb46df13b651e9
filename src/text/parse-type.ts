/** Reads types: `float[batch,64]`, `seq(int64)` and the rest of what types.ts prints. */
import { DiagnosticError } from "../diagnostics/define.ts";
import { textErrors } from "../diagnostics/text.ts";
import { type Dim, symbol, unknownDim } from "../ir/dim.ts";
import type { DType } from "../ir/dtype.ts";
import { tensorType, type ValueType } from "../ir/type.ts";
import { readDim, readExpression } from "./dims.ts";
import { dtypeOfName, isTypeWord, nestingLimit } from "./grammar.ts";
import { readList, readSafeInteger } from "./parse-context.ts";
import { Scanner } from "./scanner.ts";

/** What reading types needs of the document. */
interface TypeContext {
  readonly scanner: Scanner;
  readonly aliases: ReadonlyMap<string, string>;
}

/** Whether a type comes next. */
export function nextIsType(scanner: Scanner): boolean {
  const word = scanner.peekIdentifier();
  return word !== undefined && isTypeWord(word);
}

/** Consumes a type. In comments, dimensions may be expressions without quotes. */
export function readType(context: TypeContext, place: "code" | "comment" = "code", depth = 0): ValueType {
  const { scanner } = context;
  if (depth >= nestingLimit) throw textErrors.E_TEXT_NESTING(scanner.place(), "types", nestingLimit);
  const word = readTypeWord(scanner);
  const dtype = dtypeOfName(word);
  if (dtype !== undefined) return tensorType(dtype, readShape(scanner, place));
  scanner.expect("(");
  const type = readConstructed(word, context, place, depth);
  scanner.expect(")");
  return type;
}

function readTypeWord(scanner: Scanner): string {
  if (!nextIsType(scanner)) throw scanner.unexpected("a type such as float[2,3]");
  return scanner.identifier("a type");
}

function readConstructed(
  word: string,
  context: TypeContext,
  place: "code" | "comment",
  depth: number,
): ValueType {
  const { scanner } = context;
  switch (word) {
    case "seq":
      return { kind: "sequence", element: readType(context, place, depth + 1) };
    case "optional":
      return { kind: "optional", element: readType(context, place, depth + 1) };
    case "map": {
      const key = readElementType(scanner);
      scanner.expect(",");
      return { kind: "map", key, value: readType(context, place, depth + 1) };
    }
    case "sparse_tensor": {
      const dtype = readElementType(scanner);
      const shape = readShape(scanner, place);
      return shape === undefined ? { kind: "sparse", dtype } : { kind: "sparse", dtype, shape };
    }
    default: {
      if (scanner.peek() === ")") return { kind: "opaque", domain: "", name: "" };
      const first = readDottedName(context);
      if (!scanner.matches(",")) return { kind: "opaque", domain: "", name: first };
      const name = scanner.identifier("the name of an opaque type");
      return { kind: "opaque", domain: first, name: context.aliases.get(name) ?? name };
    }
  }
}

/** Consumes identifiers joined by dots. */
function readDottedName({ scanner, aliases }: TypeContext): string {
  let name = scanner.identifier("a name");
  while (scanner.matches(".")) name += `.${scanner.identifier("a name after the dot")}`;
  return aliases.get(name) ?? name;
}

function readElementType(scanner: Scanner): DType {
  const word = scanner.peekIdentifier() ?? "";
  const dtype = dtypeOfName(word);
  if (dtype === undefined) throw scanner.unexpected("an element type such as float");
  scanner.identifier("an element type");
  return dtype;
}

/** Dimensions in brackets; none is a scalar, empty brackets are an unknown rank. */
function readShape(scanner: Scanner, place: "code" | "comment"): Dim[] | undefined {
  if (!scanner.matches("[")) return [];
  if (scanner.matches("]")) return undefined;
  const dims: Dim[] = [];
  readList(scanner, "]", () => dims.push(place === "code" ? readCodeDim(scanner) : readCommentDim(scanner)));
  return dims;
}

function readCodeDim(scanner: Scanner): Dim {
  if (scanner.matches("?")) return unknownDim();
  const quoted = scanner.quoted();
  if (quoted !== undefined) return readDim(quoted);
  const name = scanner.peekIdentifier();
  if (name === undefined) return readSafeInteger(scanner, "a dimension: a number, a name or ?");
  return symbol(scanner.identifier("a dimension"));
}

/** Also takes expressions without quotes, up to the next comma or bracket that is not inside of parentheses. */
function readCommentDim(scanner: Scanner): Dim {
  const { source, at } = scanner;
  let end = at;
  for (let open = 0; end < source.length; end++) {
    const character = source.charAt(end);
    if (open === 0 && (character === "," || character === "]")) break;
    if (character === "(") open += 1;
    else if (character === ")") open -= 1;
  }
  const text = source.slice(at, end);
  const dim = readExpression(text);
  if (dim === undefined) return readCodeDim(scanner);
  scanner.expect(text);
  return dim;
}

/**
 * Types in the comment after a node, undefined for each `?`. A comment that is no list of types is a remark, for which
 * the whole result is undefined.
 */
export function readTypeComment(
  comment: string,
  aliases: ReadonlyMap<string, string>,
): readonly (ValueType | undefined)[] | undefined {
  if (!/^(\?|[a-z_0-9]+\s*([[(,#]|$))/.test(comment)) return undefined;
  try {
    const scanner = new Scanner(comment);
    const types: (ValueType | undefined)[] = [];
    do types.push(scanner.matches("?") ? undefined : readType({ scanner, aliases }, "comment"));
    while (scanner.matches(","));
    return scanner.done ? types : undefined;
  } catch (error) {
    if (error instanceof DiagnosticError) return undefined;
    throw error;
  }
}
