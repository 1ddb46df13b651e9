/** Runs shape rules over nodes and graphs, joining what they find with what the file says. */
import { operatorErrors } from "../diagnostics/operator.ts";
import { smallIntegers } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { refineShape, shapesConflict } from "../ir/shape.ts";
import { formatType, type TensorType, tensorType, type ValueType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { checkOperands } from "./check-operands.ts";
import type { Inferred } from "./record.ts";
import { opOf } from "./registry.ts";
import { isCurrent } from "./versions.ts";

/** Told of a result whose known type contradicts the one that was found, which takes its place. */
export type OnContradiction = (value: Value, found: ValueType, known: ValueType) => void;

/** Infers the types of every value of a model's main graph, bodies included. */
export function inferModel(model: Model, onContradiction?: OnContradiction): void {
  inferGraph(model.graph, model.opset, onContradiction);
}

/** Infers types in node order; inputs and captured values must have theirs. */
export function inferGraph(graph: Graph, opset: number, onContradiction?: OnContradiction): void {
  for (const value of graph.initializers) setConstantFacts(value);
  for (const node of graph.nodes()) inferNode(node, opset, onContradiction);
}

/**
 * Infers the results of one node. An operator without a record, or one whose meaning in this opset is older than what the
 * record's rules speak, leaves its results as they are.
 */
export function inferNode(node: Node, opset: number, onContradiction?: OnContradiction): void {
  const op = opOf(node);
  if (op === undefined || !isCurrent(op, opset)) return;
  checkOperands(node, op);
  const results = op.infer(node, { opset, inferBody: (body) => inferGraph(body, opset) });
  node.outputs.forEach((output, index) => {
    const inferred = results[index];
    if (output === null || inferred === undefined) return;
    const found = "type" in inferred ? inferred.type : inferred;
    checkSizes(node, found);
    if (output.type !== undefined && contradict(found, output.type))
      onContradiction?.(output, found, output.type);
    apply(output, inferred);
  });
}

/** Sizes that follow from attributes and operands which do not fit each other may be negative. */
function checkSizes(node: Node, type: ValueType): void {
  if (type.kind !== "tensor" || type.shape === undefined) return;
  if (type.shape.some((dim) => typeof dim === "number" && !(dim >= 0 && dim <= largestSize)))
    throw operatorErrors.E_IMPOSSIBLE_SIZE(node, formatType(type));
}

/** An axis of more elements cannot be counted. */
const largestSize = Number.MAX_SAFE_INTEGER;

function apply(value: Value, inferred: NonNullable<Inferred>): void {
  const { type, content } = "type" in inferred ? inferred : { type: inferred, content: undefined };
  value.type = joinTypes(type, value.type);
  value.content = content;
}

/** Whether both cannot be true. */
function contradict(found: ValueType, known: ValueType): boolean {
  if (found.kind !== "tensor" || known.kind !== "tensor") return found.kind !== known.kind;
  if (found.dtype !== known.dtype) return true;
  return found.shape !== undefined && known.shape !== undefined && shapesConflict(found.shape, known.shape);
}

/** What the rule found, completed by what was known before where the two agree. */
function joinTypes(found: ValueType, known: ValueType | undefined): ValueType {
  if (found.kind !== "tensor" || known?.kind !== "tensor" || contradict(found, known)) return found;
  const joined: TensorType = tensorType(found.dtype, refineShape(found.shape, known.shape));
  return joined;
}

/** Gives small integer initializers their content, so that shape chains start from them. */
export function setConstantFacts(value: Value): void {
  const tensor = value.initializer;
  if (tensor === undefined || value.content !== undefined) return;
  if (tensor.dims.length <= 1) value.content = smallIntegers(tensor);
}
