/** Reads attributes of nodes and defaults of function attributes. */
import { textErrors } from "../diagnostics/text.ts";
import type { Attribute, AttributeKind, SparseTensor } from "../ir/attribute.ts";
import { smallIntegers } from "../ir/constant.ts";
import type { ValueType } from "../ir/type.ts";
import type { Facts } from "./directive.ts";
import { attributeKindOfName, isBodyName } from "./grammar.ts";
import { parseFloat32 } from "./numbers.ts";
import {
  badFacts,
  itemFacts,
  type ParseContext,
  readInteger,
  readList,
  readName,
  type Scope,
} from "./parse-context.ts";
import { readTensor } from "./parse-tensor.ts";
import { nextIsType, readType } from "./parse-type.ts";

/** Kinds that hold one value. */
type SingleKind = "int" | "float" | "string" | "tensor" | "graph" | "type";
type Single = Extract<Attribute, { kind: SingleKind }>;

const itemKinds: ReadonlyMap<AttributeKind, SingleKind> = new Map<AttributeKind, SingleKind>([
  ["ints", "int"],
  ["floats", "float"],
  ["strings", "string"],
  ["tensors", "tensor"],
  ["graphs", "graph"],
  ["types", "type"],
]);

/**
 * Consumes an attribute after its name: `[: kind] = value`.
 *
 * @param scope values that bodies see.
 * @param facts what the directive of the node says of the attribute.
 */
export function readAttribute(context: ParseContext, scope: Scope | undefined, facts: Facts): Attribute {
  const { scanner } = context;
  const { at } = scanner;
  const kind = scanner.matches(":") ? readKind(context) : undefined;
  scanner.expect("=");
  if (scanner.matches("@")) {
    if (kind === undefined)
      throw textErrors.E_TEXT_SYNTAX(scanner.place(at), "the kind of the attribute", "a reference");
    return {
      kind: "reference",
      value: readName(context, "the name of an attribute of the function"),
      type: kind,
    };
  }
  const attribute = readValue(context, scope, kind, facts);
  if (facts.sparse !== undefined) return toSparse(context, attribute, facts.sparse, at);
  if (kind === undefined || attribute.kind === kind) return attribute;
  throw textErrors.E_TEXT_SYNTAX(
    scanner.place(at),
    `a value of kind ${kind}`,
    `one of kind ${attribute.kind}`,
  );
}

function readKind({ scanner }: ParseContext): AttributeKind {
  const { at } = scanner;
  const word = scanner.identifier("a kind of attribute such as ints");
  const kind = attributeKindOfName(word);
  if (kind !== undefined) return kind;
  throw textErrors.E_TEXT_SYNTAX(scanner.place(at), "a kind of attribute such as ints", JSON.stringify(word));
}

function readValue(
  context: ParseContext,
  scope: Scope | undefined,
  kind: AttributeKind | undefined,
  facts: Facts,
): Attribute {
  const { scanner } = context;
  const { at } = scanner;
  if (!scanner.matches("[")) return readSingle(context, scope, kind, facts);
  const itemKind = kind === undefined ? undefined : itemKinds.get(kind);
  const items: Single[] = [];
  readList(scanner, "]", () => {
    items.push(readSingle(context, scope, itemKind, itemFacts(facts, items.length)));
  });
  const found = items[0]?.kind ?? itemKind;
  if (found === undefined) {
    throw textErrors.E_TEXT_SYNTAX(
      scanner.place(at),
      "the kind of an empty list, as in axes: ints = []",
      "[]",
    );
  }
  return makeList(context, found, items, at);
}

function makeList(context: ParseContext, kind: SingleKind, items: readonly Single[], at: number): Attribute {
  const other = items.find((item) => item.kind !== kind);
  if (other !== undefined) {
    const place = context.scanner.place(at);
    throw textErrors.E_TEXT_SYNTAX(
      place,
      `a list of kind ${kind} throughout`,
      `an element of kind ${other.kind}`,
    );
  }
  switch (kind) {
    case "int":
      return { kind: "ints", value: items.flatMap((item) => (item.kind === "int" ? [item.value] : [])) };
    case "float":
      return { kind: "floats", value: items.flatMap((item) => (item.kind === "float" ? [item.value] : [])) };
    case "string":
      return {
        kind: "strings",
        value: items.flatMap((item) => (item.kind === "string" ? [item.value] : [])),
      };
    case "tensor":
      return {
        kind: "tensors",
        value: items.flatMap((item) => (item.kind === "tensor" ? [item.value] : [])),
      };
    case "graph":
      return { kind: "graphs", value: items.flatMap((item) => (item.kind === "graph" ? [item.value] : [])) };
    case "type":
      return { kind: "types", value: items.flatMap((item) => (item.kind === "type" ? [item.value] : [])) };
  }
}

/** Consumes one value; which kind it is shows as it does for the reference parser, in the same order. */
function readSingle(
  context: ParseContext,
  scope: Scope | undefined,
  kind: AttributeKind | undefined,
  facts: Facts,
): Single {
  const { scanner } = context;
  const text = scanner.quoted();
  if (text !== undefined) {
    const exact = facts.base64 === undefined ? facts.text : Buffer.from(facts.base64, "base64");
    return { kind: "string", value: exact ?? text };
  }
  if (nextIsType(scanner)) return readTypeOrTensor(context, facts);
  const word = scanner.peekIdentifier();
  if (word !== undefined && isBodyName(word)) {
    return { kind: "graph", value: context.readBody(context, scope) };
  }
  return readNumber(context, kind);
}

function readTypeOrTensor(context: ParseContext, facts: Facts): Single {
  const { scanner } = context;
  const { at } = scanner;
  const type: ValueType = readType(context);
  const next = scanner.peek();
  const isTensor = next === "{" || next === "=" || scanner.peekIdentifier() !== undefined;
  if (!isTensor) return { kind: "type", value: type };
  if (type.kind === "tensor") return { kind: "tensor", value: readTensor(context, type, facts, at) };
  throw textErrors.E_TEXT_SYNTAX(scanner.place(at), "a tensor type before data", `the type ${type.kind}`);
}

const float = /-?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|(?:inf|infinity|nan)(?![A-Za-z0-9_]))/iy;

function readNumber(context: ParseContext, kind: AttributeKind | undefined): Single {
  const { scanner } = context;
  const { at, source } = scanner;
  float.lastIndex = at;
  const literal = float.exec(source)?.[0];
  if (literal === undefined) throw scanner.unexpected("the value of an attribute");
  if (kind !== "float" && /^-?\d+$/.test(literal)) {
    return { kind: "int", value: readInteger(scanner, "a whole number") };
  }
  const value = parseFloat32(literal);
  scanner.expect(literal);
  if (Number.isFinite(value) || /[a-z]{3}/i.test(literal)) return { kind: "float", value };
  throw textErrors.E_TEXT_LITERAL(scanner.place(at), "a number that float32 can hold, inf or nan", literal);
}

/** The sparse tensors that a list of tensors stands for. */
function toSparse(context: ParseContext, attribute: Attribute, form: "one" | "list", at: number): Attribute {
  const tensors = attribute.kind === "tensors" ? attribute.value : [];
  const sparses: SparseTensor[] = [];
  for (let i = 0; i < tensors.length; i += 3) {
    const [values, indices, dims] = tensors.slice(i, i + 3);
    const sizes = dims?.dtype === "int64" && dims.source.kind === "inline" ? smallIntegers(dims) : undefined;
    if (values === undefined || indices === undefined || sizes === undefined) break;
    sparses.push({ values, indices, dims: sizes });
  }
  const isWhole = attribute.kind === "tensors" && sparses.length * 3 === tensors.length;
  const [first] = sparses;
  if (isWhole && form === "list") return { kind: "sparses", value: sparses };
  if (isWhole && first !== undefined && sparses.length === 1) return { kind: "sparse", value: first };
  throw badFacts(
    context,
    at,
    "an attribute is no sparse tensor",
    "tensors: values, indices and int64 dimensions of each",
  );
}
