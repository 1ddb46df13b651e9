/**
 * Types of values that bodies of Loop and Scan carry from one iteration to the next, and of branches that
 * meet.
 */
import { cloneGraph } from "../../ir/clone.ts";
import { type Dim, dimsEqual, unknownDim } from "../../ir/dim.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Shape } from "../../ir/shape.ts";
import { tensorType, type ValueType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { Inferred } from "../record.ts";

/** Rounds after which shapes that still change are given up. */
const mostRounds = 6;

/**
 * Infers a body whose first values are carried: what does not stay the same over an iteration becomes
 * unknown.
 *
 * @param fixed types of the other inputs, by position.
 * @param carried position and first type of each carried input, and the position of the output that follows
 * it.
 * @returns types of the carried values that hold before and after every iteration.
 */
export function inferCarried(
  body: Graph,
  fixed: ReadonlyMap<number, ValueType>,
  carried: readonly {
    readonly input: number;
    readonly output: number;
    readonly type: ValueType | undefined;
    /** Whether it is a sequence without elements at first, so that its type says nothing of later ones. */
    readonly isEmpty?: boolean;
  }[],
  inferBody: (body: Graph) => void,
): (ValueType | undefined)[] {
  let types = carried.map(({ type, isEmpty }) => (isEmpty === true ? undefined : type));
  const loosened = new Set<string>();
  const setInputs = (graph: Graph): void => {
    for (const [index, type] of fixed) setType(graph.inputs[index], type);
    carried.forEach(({ input, isEmpty }, i) => {
      const value = graph.inputs[input];
      if (isEmpty === true && types[i] === undefined && value !== undefined) value.type = undefined;
      setType(value, types[i]);
    });
  };
  for (let round = 0; round <= mostRounds; round++) {
    // The body itself keeps what inference finds, so that tries are made on copies.
    const copy = cloneGraph(body, new Map());
    setInputs(copy);
    inferBody(copy);
    const next = carried.map(({ output }, i) => loosen(types[i], copy.outputs[output]?.type, loosened));
    copy.clear();
    if (next.every((type, i) => type === types[i])) break;
    types = round === mostRounds ? next.map(withoutShape) : next;
  }
  types = types.map((type, i) => type ?? carried[i]?.type);
  setInputs(body);
  inferBody(body);
  // What is unknown in each iteration is another unknown after the last.
  return types.map((type) => renewUnknowns(type, loosened));
}

/** The type that both have in common, such as that of a result of two branches. */
export function meetTypes(left: ValueType | undefined, right: ValueType | undefined): ValueType | undefined {
  if (left?.kind === "sequence" && right?.kind === "sequence") {
    const element = meetTypes(left.element, right.element);
    return element && { kind: "sequence", element };
  }
  if (left?.kind !== "tensor" || right?.kind !== "tensor") return left ?? right;
  if (left.dtype !== right.dtype) return left;
  if (left.shape === undefined || right.shape?.length !== left.shape.length) return tensorType(left.dtype);
  const { shape } = right;
  return tensorType(
    left.dtype,
    left.shape.map((dim, axis) => (dimsEqual(dim, shape[axis] ?? -1) ? dim : unknownDim())),
  );
}

/** Type and content that results of two branches have in common. */
export function meetValues(left: Value | undefined, right: Value | undefined): Inferred {
  const type = meetTypes(left?.type, right?.type);
  const [a, b] = [left?.content, right?.content];
  if (type?.kind !== "tensor" || a === undefined || b === undefined || a.length !== b.length) return type;
  const content = a.map(
    (element, i): Dim => (dimsEqual(element, b[i] ?? Number.NaN) ? element : unknownDim()),
  );
  return { type, content };
}

function setType(value: Value | undefined, type: ValueType | undefined): void {
  if (value !== undefined && type !== undefined) value.type = type;
}

/**
 * The type before an iteration, made weaker where the one after it differs; the same object where nothing
 * changes.
 */
function loosen(
  before: ValueType | undefined,
  after: ValueType | undefined,
  loosened: Set<string>,
): ValueType | undefined {
  // A sequence that holds nothing at first is of what the first iteration puts into it.
  if (before === undefined && after?.kind === "sequence") return after;
  if (before?.kind === "sequence" && after?.kind === "sequence") {
    const element = loosen(before.element, after.element, loosened);
    return element === undefined || element === before.element ? before : { kind: "sequence", element };
  }
  if (before?.kind !== "tensor" || after?.kind !== "tensor" || before.shape === undefined) return before;
  const shape = after.shape;
  if (shape?.length !== before.shape.length) return tensorType(before.dtype);
  const isLoose = (dim: Dim): boolean => typeof dim !== "number" && loosened.has(dim.key);
  const changed = before.shape.map(
    (dim, axis) => !isLoose(dim) && !dimsEqual(dim, shape[axis] ?? Number.NaN),
  );
  if (!changed.includes(true)) return before;
  const dims: Shape = before.shape.map((dim, axis) => {
    if (changed[axis] !== true) return dim;
    const unknown = unknownDim();
    loosened.add(unknown.key);
    return unknown;
  });
  return tensorType(before.dtype, dims);
}

function withoutShape(type: ValueType | undefined): ValueType | undefined {
  if (type?.kind === "sequence") {
    const element = withoutShape(type.element);
    return element && { kind: "sequence", element };
  }
  return type?.kind === "tensor" ? tensorType(type.dtype) : type;
}

function renewUnknowns(type: ValueType | undefined, loosened: ReadonlySet<string>): ValueType | undefined {
  if (type?.kind === "sequence") {
    const element = renewUnknowns(type.element, loosened);
    return element && { kind: "sequence", element };
  }
  if (type?.kind !== "tensor" || type.shape === undefined) return type;
  return tensorType(
    type.dtype,
    type.shape.map((dim) => (typeof dim !== "number" && loosened.has(dim.key) ? unknownDim() : dim)),
  );
}
