/** Rules for operators that only move elements: those that move nothing, and pairs that make one or cancel. */
import { constantOf, smallIntegers } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import { needsIdentity } from "../../ir/replace.ts";
import type { Value } from "../../ir/value.ts";
import { isFilledWith } from "../match.ts";
import { nodeRule, type Rule, rule, type Verdict } from "../rule.ts";
import { haveSameShape } from "./proofs.ts";

/** Operators that give the same elements in the same order under another shape. */
const viewers: readonly string[] = ["Reshape", "Squeeze", "Unsqueeze", "Flatten"];

const dropIdentity = rule("drop-identity", {
  match: (p) => p.Identity(p.x),
  when: ({ x }, root) => !needsIdentity(root.output(0), x),
  build: ({ x }) => x,
});

/** Dropout outside training. The mask of one in training mode is the marker of the runtime's own trap, so it stays. */
const dropDropout = nodeRule("drop-inference-dropout", {
  roots: ["Dropout"],
  when: (node) => {
    if (node.int("is_test", 1) === 0) return "it is in training mode";
    const mode = node.input(2);
    return mode === undefined || isFilledWith(mode, 0) || "it is or may be in training mode";
  },
  build: firstOperand,
});

const dropViewer = nodeRule("drop-same-shape", {
  roots: [...viewers, "Expand", "Tile"],
  when: (node) => {
    const x = node.input(0);
    return x !== undefined && haveSameShape(x, node.output(0));
  },
  build: firstOperand,
});

/** Slice with steps of 1 that takes everything. */
const dropSlice = nodeRule("drop-whole-slice", {
  roots: ["Slice"],
  when: (node) => {
    const [x, starts, ends] = [node.input(0), node.input(1), node.input(2)];
    if (x === undefined || starts === undefined || ends === undefined) return false;
    if (node.input(4) !== undefined && !isFilledWith(node.input(4), 1)) return false;
    const toEnd = smallIntegers(constantOf(ends))?.every((end) => end >= 2 ** 31 - 1) === true;
    return (isFilledWith(starts, 0) && toEnd) || haveSameShape(x, node.output(0));
  },
  build: firstOperand,
});

/** Operands of Concat that have no elements along its axis. */
const dropEmptyParts = nodeRule("drop-empty-parts", {
  roots: ["Concat"],
  when: (node) => {
    const kept = fullParts(node).length;
    return kept > 0 && kept < node.inputs.length;
  },
  build: (node, b) => {
    const parts = fullParts(node);
    const [only, another] = parts;
    return only !== undefined && another === undefined ? only : b.concat(parts, node.int("axis", 0));
  },
});

function fullParts(node: Node): Value[] {
  const axis = node.int("axis", 0);
  return node.inputs.filter((part) => part !== null).filter((part) => part.tensorType?.shape?.at(axis) !== 0);
}

const dropPad = nodeRule("drop-empty-pad", {
  roots: ["Pad"],
  when: (node) => isFilledWith(node.input(1), 0),
  build: firstOperand,
});

const dropSplit = nodeRule("drop-single-split", {
  roots: ["Split"],
  when: (node) => node.outputs.length === 1,
  build: firstOperand,
});

const dropTranspose = rule("drop-identity-transpose", {
  match: (p) => p.Transpose(p.x, { perm: p.a }),
  when: ({ x, a }) => permOf(x, a)?.every((axis, index) => axis === index) ?? false,
  build: ({ x }) => x,
});

const mergeTransposes = rule("merge-transposes", {
  match: (p) => p.Transpose(p.Transpose(p.x, { perm: p.a }), { perm: p.b }),
  when: ({ x, a, b }) => compose(permOf(x, a), permOf(x, b)) !== undefined || "the rank is not known",
  build: ({ x, a, b }, builder) => builder.transpose(x, compose(permOf(x, a), permOf(x, b)) ?? []),
});

/** A viewer of a viewer that is back at the shape before both. */
const cancelViewers = nodeRule("cancel-reshapes", {
  roots: viewers,
  when: (node) => {
    const source = viewedBy(node.input(0));
    return source !== undefined && haveSameShape(source, node.output(0));
  },
  build: (node) => viewedBy(node.input(0)) ?? node.output(0),
});

/** Reshape of a viewer: the shape in between does not matter, unless a 0 in the target copies from it. */
const mergeReshapes = nodeRule("merge-reshapes", {
  roots: ["Reshape"],
  when: (node): Verdict => {
    if (viewedBy(node.input(0)) === undefined) return false;
    if (node.int("allowzero", 0) === 1) return true;
    const target = smallIntegers(constantOf(node.input(1)));
    if (target === undefined) return "the target shape is not constant";
    return !target.includes(0) || "the target copies a dimension";
  },
  build: (node, b) => {
    const allowzero = node.int("allowzero", 0) === 1 ? 1 : undefined;
    return b.op("Reshape", [viewedBy(node.input(0)) ?? null, node.input(1) ?? null], { allowzero });
  },
});

export const movementRules: readonly Rule[] = [
  dropIdentity,
  dropDropout,
  dropViewer,
  dropSlice,
  dropEmptyParts,
  dropPad,
  dropSplit,
  dropTranspose,
  mergeTransposes,
  cancelViewers,
  mergeReshapes,
];

function firstOperand(node: Node): Value {
  return node.input(0) ?? node.output(0);
}

/** What the viewer that makes `value` looks at; undefined where another operator makes it. */
function viewedBy(value: Value | undefined): Value | undefined {
  const node = value?.producer;
  return node !== undefined && node.domain === "" && viewers.includes(node.op) ? node.input(0) : undefined;
}

/** The permutation that a Transpose of `x` does; without the attribute it reverses the axes. */
function permOf(x: Value, perm: readonly number[] | undefined): readonly number[] | undefined {
  const rank = x.tensorType?.shape?.length;
  return (
    perm ?? (rank === undefined ? undefined : Array.from({ length: rank }, (_, axis) => rank - 1 - axis))
  );
}

function compose(
  first: readonly number[] | undefined,
  then: readonly number[] | undefined,
): number[] | undefined {
  if (first === undefined || then === undefined || first.length !== then.length) return undefined;
  return then.map((axis) => first[axis] ?? axis);
}
