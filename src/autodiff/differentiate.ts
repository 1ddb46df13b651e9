/** Reverse-mode differentiation: walks the graph backwards, asks each operator's rule, and does all that rules share. */
import { autodiffErrors } from "../diagnostics/autodiff.ts";
import { InternalError } from "../diagnostics/define.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { shapesConflict } from "../ir/shape.ts";
import { formatType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { isDetached } from "../ops/detach.ts";
import { addCotangents, cotangentType } from "../ops/kernels/cotangent.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { type StatedSlope, statedSlope } from "../ops/stated-slope.ts";
import { activeOperands, activeValues, contributingNodes, lostQuantized, readsActive } from "./activity.ts";
import { type BodiesNode, reverseBodies } from "./bodies.ts";
import { dequantizeAgain } from "./dequantize-again.ts";
import { expandActiveNodes } from "./expand.ts";
import { requireRanks } from "./known-ranks.ts";
import { describePath } from "./path.ts";
import { unbroadcast } from "./unbroadcast.ts";

/** An output with the gradient that flows into it from outside, of the same type and shape. */
export interface Seed {
  readonly value: Value;
  readonly gradient: Value;
}

/**
 * Appends the backward graph to `graph`: for each variable the sum over seeds of its vector-Jacobian product (Griewank
 * and Walther, "Evaluating Derivatives", 2nd ed., ch. 3). Only nodes between variables and seeds are touched.
 *
 * @returns the gradient of each variable, undefined where no seed depends on it.
 * @throws DiagnosticError `E_NO_GRADIENT`, `E_UNKNOWN_OPERATOR` or `E_UNKNOWN_TYPE` naming the node and the path.
 */
export function differentiate(
  graph: Graph,
  seeds: readonly Seed[],
  variables: readonly Value[],
  opset: number,
): (Value | undefined)[] {
  const values = seeds.map(({ value }) => value);
  const targets = expandActiveNodes(graph, values, variables, opset);
  const active = activeValues(graph, variables);
  const contributing = contributingNodes(graph, targets);
  for (const node of contributing) checkPlaces(node, active, variables);
  const last = graph.last;
  const b = new OpBuilder({ graph }, opset);
  const adjoints = new Adjoints(b);
  seeds.forEach(({ value, gradient }, index) => {
    const target = targets[index] ?? value;
    if (active.has(target)) adjoints.add(target, gradient);
  });

  for (let node = last; node !== undefined; node = node.previous) {
    if (!contributing.has(node)) continue;
    refuseLostIntegers(node, active, variables);
    const grads = node.outputs.map((output) => (output === null ? undefined : adjoints.sum(output)));
    const operands = activeOperands(node, active);
    // A node without active operands may still depend on the variables: through what its bodies read.
    if (grads.every((grad) => grad === undefined) || !readsActive(node, active)) continue;
    const stated = statedSlope(node);
    // What it states holds of no node that is made from it.
    b.source = stated === undefined ? node : undefined;
    if (stated !== undefined) {
      propagateStated(node, stated, grads, b, adjoints);
      continue;
    }
    checkDifferentiable(node, active, variables);
    if (opOf(node)?.gradient.kind === "bodies") {
      const inBody: BodiesNode["differentiate"] = (body, inner, by) => differentiate(body, inner, by, opset);
      propagateBodies({ node, grads, active, variables, b, differentiate: inBody }, adjoints);
    } else propagate(node, grads, operands, b, adjoints);
  }
  const gradients = variables.map((variable) => adjoints.sum(variable));
  dequantizeAgain(graph, last, opset);
  return gradients;
}

/** Partial gradients of values that the walk has not reached yet. */
class Adjoints {
  readonly #b: OpBuilder;
  readonly #parts = new Map<Value, Value>();

  constructor(b: OpBuilder) {
    this.#b = b;
  }

  add(value: Value, part: Value): void {
    const before = this.#parts.get(value);
    this.#parts.set(value, before === undefined ? part : addCotangents(this.#b, before, part));
  }

  /** The sum of all parts so far: complete once every reader of the value has been walked. */
  sum(value: Value): Value | undefined {
    return this.#parts.get(value);
  }
}

function propagate(
  node: Node,
  grads: readonly (Value | undefined)[],
  operands: readonly number[],
  b: OpBuilder,
  adjoints: Adjoints,
): void {
  const op = opOf(node);
  if (op === undefined) throw new InternalError(`${node.op} lost its record`);
  const thunks = op.vjp(node, grads, b);
  for (const index of operands) {
    const operand = node.input(index);
    const thunk = thunks[index];
    if (operand === undefined) continue;
    if (thunk === undefined) {
      throw new InternalError(`${node.op} has no gradient for its operand ${index}, "${operand.name}"`);
    }
    const made = thunk();
    const gradient = operand.type === undefined || operand.tensorType ? unbroadcast(b, made, operand) : made;
    checkGradient(node, index, operand, gradient);
    adjoints.add(operand, gradient);
  }
}

function propagateStated(
  node: Node,
  { of, by, slope }: StatedSlope,
  grads: readonly (Value | undefined)[],
  b: OpBuilder,
  adjoints: Adjoints,
): void {
  const [grad, operand] = [grads[of], node.input(by)];
  if (operand === undefined || grads.some((each, index) => each !== undefined && index !== of))
    throw new InternalError(`${node.op} states a slope of its result ${of} alone`);
  if (grad === undefined) return;
  const gradient = b.mul(b.unsqueeze(grad, [-1]), node.output(slope));
  checkGradient(node, by, operand, gradient);
  adjoints.add(operand, gradient);
}

function propagateBodies(at: BodiesNode, adjoints: Adjoints): void {
  const { operands, captures } = reverseBodies(at);
  for (const [index, part] of operands) {
    const operand = at.node.input(index);
    if (operand === undefined) throw new InternalError(`${at.node.op} has no operand ${index}`);
    checkGradient(at.node, index, operand, part);
    part.type = cotangentType(operand.type);
    adjoints.add(operand, part);
  }
  for (const [value, part] of captures) {
    part.type = cotangentType(value.type);
    adjoints.add(value, part);
  }
}

function checkGradient(node: Node, index: number, operand: Value, gradient: Value): void {
  const [wanted, got] = [operand.tensorType, gradient.tensorType];
  if (wanted === undefined || got === undefined) return;
  // The gradient by quantised numbers is of whatever float type it was computed in.
  const conflict =
    (isFloat(wanted.dtype) ? wanted.dtype !== got.dtype : !isFloat(got.dtype)) ||
    (wanted.shape !== undefined && got.shape !== undefined && shapesConflict(wanted.shape, got.shape));
  if (!conflict) return;
  throw new InternalError(
    `${node.op} gives operand ${index} ("${operand.name}", ${formatType(wanted)}) a gradient of ${formatType(got)}`,
  );
}

/** An operator that turns quantised numbers into something without a rule would end the gradient without a word. */
function refuseLostIntegers(node: Node, active: ReadonlySet<Value>, variables: readonly Value[]): void {
  const op = opOf(node);
  if (op?.gradient.kind === "zero" || isDetached(node)) return;
  const lost = lostQuantized(node, active);
  if (lost === undefined) return;
  throw autodiffErrors.E_NO_GRADIENT(
    { op: node.op, name: node.name },
    `no rule for the gradient by "${lost.name}", which holds quantised numbers`,
    describePath(node, active, variables),
  );
}

/** Gradients do not flow into sizes and places; floats among them that depend on the variables are refused. */
function checkPlaces(node: Node, active: ReadonlySet<Value>, variables: readonly Value[]): void {
  const op = opOf(node);
  node.inputs.forEach((input, index) => {
    const name = paramAt(op?.inputs ?? [], index)?.name ?? "";
    if (input === null || op?.hostInputs.has(name) !== true) return;
    if (!active.has(input) || !isFloat(input.tensorType?.dtype ?? "int64")) return;
    const reason = `its operand "${name}" says sizes or places, which gradients do not flow into`;
    throw autodiffErrors.E_NO_GRADIENT(
      { op: node.op, name: node.name },
      reason,
      describePath(node, active, variables),
    );
  });
}

function checkDifferentiable(node: Node, active: ReadonlySet<Value>, variables: readonly Value[]): void {
  const op = opOf(node);
  const place = { op: node.op, name: node.name };
  if (op === undefined) {
    throw autodiffErrors.E_UNKNOWN_OPERATOR(place, node.domain, describePath(node, active, variables));
  }
  if (op.gradient.kind === "none") {
    throw autodiffErrors.E_NO_GRADIENT(
      place,
      op.gradient.reason ?? "no rule",
      describePath(node, active, variables),
    );
  }
  requireRanks(node, [
    ...node.inputs,
    ...node.outputs.filter((output) => output !== null && active.has(output)),
  ]);
}
