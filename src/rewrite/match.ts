/** Finds the ways in which a pattern fits a node; looks only, and never changes anything. */
import type { Attribute } from "../ir/attribute.ts";
import { constantOf } from "../ir/constant.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { decodeElements, isComputable } from "../ops/elements.ts";
import { opOf } from "../ops/registry.ts";
import { isCommutative, isStandard } from "../ops/traits.ts";
import type { Literal, Operand, OpPattern, Variable } from "./pattern.ts";

/** What the names of a pattern stand for. */
export type Bindings = Readonly<Record<string, unknown>>;

/** Constants larger than this are never read to compare them with a number. */
const readLimit = 1024;

/** Every way in which the pattern fits the node, the operands of commutative operators in both orders. */
export function matchNode(pattern: OpPattern, node: Node, bindings: Bindings = {}): Bindings[] {
  if (node.op !== pattern.op) return [];
  if (node.domain !== pattern.domain && !(isStandard(node.domain) && isStandard(pattern.domain))) return [];
  const withAttributes = matchAttributes(pattern, node, bindings);
  if (withAttributes === undefined) return [];
  const found = matchOperands(pattern.operands, node.inputs, withAttributes);
  const [first, second] = node.inputs;
  if (
    node.inputs.length !== 2 ||
    first == null ||
    second == null ||
    first === second ||
    !isCommutative(node)
  ) {
    return found;
  }
  return [...found, ...matchOperands(pattern.operands, [second, first], withAttributes)];
}

/** An attribute as patterns see it: its own value, else the operator's default. */
function readAttribute(node: Node, name: string): unknown {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return opOf(node)?.attributes[name]?.fallback;
  return plainAttribute(attribute, node, name);
}

function plainAttribute(attribute: Attribute, node: Node, name: string): unknown {
  switch (attribute.kind) {
    case "int":
      return node.int(name, undefined);
    case "ints":
      return node.ints(name, undefined);
    default:
      return attribute.value;
  }
}

function matchAttributes(pattern: OpPattern, node: Node, bindings: Bindings): Bindings | undefined {
  let result = bindings;
  for (const [name, wanted] of Object.entries(pattern.attributes)) {
    const value = readAttribute(node, name);
    if (!isVariable(wanted)) {
      if (!sameAttribute(value, wanted)) return undefined;
    } else if (!(wanted.name in result)) result = { ...result, [wanted.name]: value };
    else if (!sameAttribute(value, result[wanted.name])) return undefined;
  }
  return result;
}

function isVariable(wanted: Variable | Literal): wanted is Variable {
  return typeof wanted === "object" && "kind" in wanted;
}

function sameAttribute(left: unknown, right: unknown): boolean {
  if (!Array.isArray(left) || !Array.isArray(right)) return left === right;
  return left.length === right.length && left.every((item, index) => item === right[index]);
}

function matchOperands(
  wanted: readonly Operand[],
  operands: readonly (Value | null)[],
  bindings: Bindings,
): Bindings[] {
  let found = [bindings];
  let count = wanted.length;
  for (const [index, operand] of wanted.entries()) {
    if (typeof operand !== "number" && operand.kind === "rest") {
      count = Number.POSITIVE_INFINITY;
      const values = operands.slice(index).filter((value) => value !== null);
      found = found.map((known) => ({ ...known, [operand.name]: values }));
      continue;
    }
    const value = operands[index] ?? null;
    found = found.flatMap((known) => matchOperand(operand, value, known));
    if (found.length === 0) return found;
  }
  return operands.slice(count).some((value) => value !== null) ? [] : found;
}

function matchOperand(wanted: Operand, value: Value | null, bindings: Bindings): Bindings[] {
  if (typeof wanted === "number") return isFilledWith(value, wanted) ? [bindings] : [];
  if (wanted.kind === "absent") return value === null ? [bindings] : [];
  if (value === null || wanted.kind === "rest") return [];
  if (wanted.kind === "op") {
    if (value.producer === undefined || value.outputIndex !== 0) return [];
    return wanted.once && value.uses.size !== 1 ? [] : matchNode(wanted, value.producer, bindings);
  }
  if (wanted.kind === "constant" && constantOf(value) === undefined) return [];
  if (wanted.name in bindings) return bindings[wanted.name] === value ? [bindings] : [];
  return [{ ...bindings, [wanted.name]: value }];
}

/** Whether a value is a constant all of whose elements equal `number`; one element at least, and not too many to look at. */
export function isFilledWith(value: Value | null | undefined, number: number): boolean {
  const tensor = constantOf(value);
  if (tensor === undefined || tensor.size < 1 || tensor.size > readLimit || !isComputable(tensor.dtype))
    return false;
  const elements = decodeElements(tensor.dtype, tensor.bytes(), tensor.size);
  for (const element of elements) if (Number(element) !== number) return false;
  return true;
}
