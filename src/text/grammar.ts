/** Words and spelling rules of ONNX text that printing and parsing share (onnx/docs/Syntax.md). */
import type { AttributeKind } from "../ir/attribute.ts";
import { type DType, dtypes } from "../ir/dtype.ts";

/** Start of a comment that carries facts for which the grammar has no place. */
export const directiveMark = "#!";

/** How deep subgraphs, and types in types, may nest; real models stay below ten. */
export const nestingLimit = 64;

const otherNames: Partial<Record<DType, string>> = { float32: "float", float64: "double" };

/** ONNX text's name of an element type. */
export function typeName(dtype: DType): string {
  return otherNames[dtype] ?? dtype;
}

const dtypesByName: ReadonlyMap<string, DType> = new Map(dtypes.map((dtype) => [typeName(dtype), dtype]));

/** The element type that a word of ONNX text names. */
export function dtypeOfName(name: string): DType | undefined {
  return dtypesByName.get(name);
}

/** Words that start a type which is no plain tensor. */
const typeConstructors: ReadonlySet<string> = new Set(["seq", "map", "optional", "sparse_tensor", "opaque"]);

/** Whether an identifier starts a type, so that a name spelled the same must be quoted. */
export function isTypeWord(word: string): boolean {
  return dtypesByName.has(word) || typeConstructors.has(word);
}

const attributeTypes: Readonly<Record<AttributeKind, string>> = {
  int: "int",
  float: "float",
  string: "string",
  tensor: "tensor",
  graph: "graph",
  sparse: "sparse_tensor",
  type: "type_proto",
  ints: "ints",
  floats: "floats",
  strings: "strings",
  tensors: "tensors",
  graphs: "graphs",
  sparses: "sparse_tensors",
  types: "type_protos",
};

/** ONNX text's name of a kind of attribute. */
export function attributeTypeName(kind: AttributeKind): string {
  return attributeTypes[kind];
}

/** The kind of attribute that a word of ONNX text names. */
export function attributeKindOfName(name: string): AttributeKind | undefined {
  return attributeKinds.find((kind) => attributeTypes[kind] === name);
}

const attributeKinds: readonly AttributeKind[] = [
  "int",
  "float",
  "string",
  "tensor",
  "graph",
  "sparse",
  "type",
  "ints",
  "floats",
  "strings",
  "tensors",
  "graphs",
  "sparses",
  "types",
];

/** Whether the name can stand without quotes. */
export function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Identifiers joined by dots, as domains are; "" is the domain ai.onnx. */
export function isDottedName(name: string): boolean {
  return name === "" || name.split(".").every(isIdentifier);
}

/**
 * Whether a body held by an attribute can have this name. Such names cannot be quoted, and the reference parser takes a
 * word that starts like a type, or like infinity or not-a-number, for one.
 */
export function isBodyName(name: string): boolean {
  return isIdentifier(name) && !isTypeWord(name) && !/^(inf|infinity|nan)(?![A-Za-z0-9])/i.test(name);
}

/**
 * Whether a quoted string can hold the text: the reference parser stops at a zero character, and half a surrogate pair
 * is not Unicode.
 */
export function isExpressible(text: string): boolean {
  return !/[\0\p{Surrogate}]/u.test(text);
}

/** A quoted string. Only quotes and backslashes are escaped; line breaks stand as they are. */
export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** A name without quotes where that is possible. */
export function spellName(name: string): string {
  return isIdentifier(name) && !isTypeWord(name) ? name : quote(name);
}
