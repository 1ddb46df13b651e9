/** Checks a node's operands and attributes before its operator's rules see them: their number, types, ranks and bounds. */
import { operatorErrors } from "../diagnostics/operator.ts";
import type { Node } from "../ir/node.ts";
import { formatType, type ValueType } from "../ir/type.ts";
import { requireRank } from "./kernels/require-rank.ts";
import { operandTypes, typeSets } from "./operand-types.ts";
import type { Param } from "./params.ts";
import { type Op, paramAt } from "./record.ts";

/**
 * Refuses a node whose operands and attributes its operator does not take, so that rules may take for granted what a
 * schema says. Operands of unknown type pass.
 *
 * @throws DiagnosticError `E_BAD_OPERAND`, `E_BAD_ATTRIBUTE`, `E_OPERATOR_COUNT`.
 */
export function checkOperands(node: Node, op: Op): void {
  checkCounts(node, op);
  checkMoved(node, op);
  checkTypes(node, op);
  checkRanks(node, op);
  checkAttributes(node, op);
}

function checkRanks(node: Node, op: Op): void {
  node.inputs.forEach((input, index) => {
    const rank = input === null ? undefined : op.ranks[paramAt(op.inputs, index)?.name ?? ""];
    if (input === null || rank === undefined) return;
    const [least, most = Number.POSITIVE_INFINITY] = typeof rank === "number" ? [rank, rank] : rank;
    requireRank(node, nameAt(op, index), input, least, most);
  });
}

function checkCounts(node: Node, op: Op): void {
  const needed = op.inputs.find(
    ({ optional, variadic }, index) =>
      !optional && !(variadic && index > 0) && node.input(index) === undefined,
  );
  if (needed !== undefined) throw operatorErrors.E_BAD_OPERAND(node, needed.name, "an operand", "none");
  const places: [string, readonly Param[], number][] = [
    ["operands", op.inputs, node.inputs.length],
    ["results", op.outputs, node.outputs.length],
  ];
  for (const [what, params, count] of places)
    if (count > params.length && params.at(-1)?.variadic !== true)
      throw operatorErrors.E_OPERATOR_COUNT(node, what, params.length, count);
}

/**
 * Axes, bounds and the like were attributes before they became operands. A file that claims a newer opset than its nodes
 * were written in, as quantisers leave behind that raise it, would lose them without a word.
 */
function checkMoved(node: Node, op: Op): void {
  if (op.domain !== "") return;
  for (const { name } of op.inputs) {
    if (!node.attributes.has(name) || name in op.attributes) continue;
    const expected = "an operand of that name, as in the opset that the model imports";
    throw operatorErrors.E_BAD_ATTRIBUTE(node, name, expected, "an attribute, as in older ones");
  }
}

/** An attribute of another kind would be read as if it were absent, and a number beyond its bounds as a size. */
function checkAttributes(node: Node, op: Op): void {
  for (const [name, { kind, bounds = {} }] of Object.entries(op.attributes)) {
    const attribute = node.attributes.get(name);
    if (attribute === undefined || attribute.kind === "reference") continue;
    if (attribute.kind !== kind)
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        name,
        `one of kind ${kind}`,
        `one of kind ${attribute.kind}`,
      );
    const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = bounds;
    const numbers =
      attribute.kind === "int" ? [attribute.value] : attribute.kind === "ints" ? attribute.value : [];
    const outside = numbers.find((number) => number < least || number > most);
    if (outside !== undefined)
      throw operatorErrors.E_BAD_ATTRIBUTE(node, name, `from ${least} to ${most}`, String(outside));
  }
}

/** What a schema says of the types of its operands. */
interface Signature {
  readonly operands: readonly {
    /** Operands of one letter have one type. */
    readonly letter: string;
    /** Each operand of the list has a type of its own. */
    readonly alone: boolean;
    readonly types: ReadonlySet<string>;
  }[];
}

function checkTypes(node: Node, op: Op): void {
  const signature = signatureOf(op);
  if (signature === undefined) return;
  const firsts = new Map<string, { readonly name: string; readonly type: ValueType }>();
  node.inputs.forEach((input, index) => {
    const { type } = input ?? {};
    const formal = signature.operands[index] ?? signature.operands.at(-1);
    if (type === undefined || formal === undefined) return;
    const { letter, alone, types } = formal;
    const name = nameAt(op, index);
    if (!types.has(kindOf(type)) && !(kindOf(type) === "float64" && types.has("float32")))
      throw operatorErrors.E_BAD_OPERAND(node, name, [...types].join(", "), formatType(type));
    const first = firsts.get(letter);
    if (first === undefined) firsts.set(letter, { name, type });
    else if (!alone && kindOf(first.type) !== kindOf(type)) {
      const expected = `the element type of "${first.name}", ${kindOf(first.type)}`;
      throw operatorErrors.E_BAD_OPERAND(node, name, expected, formatType(type));
    }
  });
}

/** The name of an operand as the record has it, counted in a variadic list. */
function nameAt(op: Op, index: number): string {
  const param = paramAt(op.inputs, index);
  if (param === undefined) return String(index);
  return param.variadic ? `${param.name} ${index - op.inputs.length + 1}` : param.name;
}

/** As the table names types: tensors by their elements, other types by their kind. */
function kindOf(type: ValueType): string {
  switch (type.kind) {
    case "tensor":
      return type.dtype;
    case "sequence":
      return "seq";
    case "optional":
      return "opt";
    default:
      return type.kind;
  }
}

let sets: ReadonlyMap<string, ReadonlySet<string>> | undefined;
let lines: ReadonlyMap<string, string> | undefined;
const signatures = new Map<string, Signature>();

/** The table is split into lines at first use, and a line is read when its operator is met. */
function signatureOf({ domain, type }: Op): Signature | undefined {
  const key = domain === "" ? type : `${domain}.${type}`;
  const known = signatures.get(key);
  if (known !== undefined) return known;
  lines ??= new Map(split(operandTypes).map((line) => [line.split(" ", 1)[0] ?? "", line]));
  sets ??= new Map(
    split(typeSets.replace(/\n {4}/g, " ")).map((line) => {
      const [name = "", ...types] = line.split(" ");
      return [name, new Set(types)];
    }),
  );
  const line = lines.get(key);
  if (line === undefined) return undefined;
  const [operands = "", letters = ""] = line.split(" : ");
  const setOf = new Map(letters.split(" ").map((each) => [each.slice(0, 1), sets?.get(each.slice(2))]));
  const signature = {
    operands: operands
      .split(" ")
      .slice(1)
      .map((mark) => {
        const letter = mark.slice(0, 1);
        return { letter, alone: mark.endsWith("+"), types: setOf.get(letter) ?? new Set<string>() };
      }),
  };
  signatures.set(key, signature);
  return signature;
}

function split(table: string): string[] {
  return table.trim().split(/\n\s*/);
}
