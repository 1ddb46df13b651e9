/** Builds shape vectors from the axes of tensors with as few nodes as it can, and says beforehand how many. */
import {
  type Dim,
  type DimExpr,
  dimsEqual,
  floorDivDims,
  maxDims,
  minDims,
  modDims,
  mulDims,
  symbol,
} from "../../ir/dim.ts";
import { isNonNegative } from "../../ir/dim-sign.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../../ops/builder.ts";
import type { ShapeScope } from "./scope.ts";

/** A way to compute a shape vector: nodes that it adds, and how. */
export interface Plan {
  readonly cost: number;
  readonly build: (b: OpBuilder) => Value;
}

/** Most operands of a Concat, terms and factors that a plan is made for. */
const sizeLimit = 64;

/** Plans an int64 value of rank 0 or 1; undefined where an axis cannot be read anywhere. */
export function planContent(content: readonly Dim[], rank: number, scope: ShapeScope): Plan | undefined {
  if (content.length > sizeLimit || (rank === 0 && content.length !== 1)) return undefined;
  const known = scope.value(content, rank);
  if (known !== undefined) return { cost: 0, build: () => known };
  const numbers = content.filter((dim): dim is number => typeof dim === "number");
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const [only] = content;
  if (numbers.length === content.length) {
    return {
      cost: 0,
      build: (b) => remember(rank === 0 ? b.int(numbers[0] ?? 0) : b.ints(numbers), content),
    };
  }
  if (rank === 0) {
    const vector = planContent(content, 1, scope);
    return (
      vector &&
      cached(scope, content, { cost: vector.cost + 1, build: (b) => b.squeeze(vector.build(b), [0]) })
    );
  }
  const plan = only !== undefined && content.length === 1 ? planDim(only, scope) : planConcat(content, scope);
  return plan && cached(scope, content, plan);
}

/** Lets what a plan builds be found by later plans. */
function cached(scope: ShapeScope, content: readonly Dim[], plan: Plan): Plan {
  const build = (b: OpBuilder): Value => {
    const value = remember(plan.build(b), content);
    scope.addValue(value);
    return value;
  };
  return { cost: plan.cost, build };
}

/** States the content, which inference may not say as precisely. */
function remember(value: Value, content: readonly Dim[]): Value {
  value.content = content;
  return value;
}

/** Pieces that are constant, or follow each other in the shape of one tensor. */
function planConcat(content: readonly Dim[], scope: ShapeScope): Plan | undefined {
  const plans: Plan[] = [];
  for (let at = 0; at < content.length; ) {
    const length = runLength(content, at, scope);
    const piece = content.slice(at, at + length);
    const plan = length === content.length ? planRun(piece, scope) : planContent(piece, 1, scope);
    if (plan === undefined) return undefined;
    plans.push(plan);
    at += length;
  }
  const [only] = plans;
  if (only !== undefined && plans.length === 1) return only;
  const parts = plans.reduce((sum, { cost }) => sum + cost, 0);
  return {
    cost: parts + 1,
    build: (b) =>
      b.concat(
        plans.map(({ build }) => build(b)),
        0,
      ),
  };
}

function runLength(content: readonly Dim[], start: number, scope: ShapeScope): number {
  const first = content[start] ?? 0;
  const rest = content.slice(start);
  if (typeof first === "number") return untilMismatch(rest, (dim) => typeof dim === "number");
  const source = scope.source(first);
  const axes = source?.value.tensorType?.shape?.slice(source.axis) ?? [];
  return Math.max(
    1,
    untilMismatch(rest, (dim, index) => dimsEqual(dim, axes[index] ?? Number.NaN)),
  );
}

function untilMismatch(dims: readonly Dim[], fits: (dim: Dim, index: number) => boolean): number {
  const end = dims.findIndex((dim, index) => !fits(dim, index));
  return end < 0 ? dims.length : end;
}

/** Axes that follow each other, read by one Shape. */
function planRun(dims: readonly Dim[], scope: ShapeScope): Plan | undefined {
  const [first] = dims;
  const source = first === undefined ? undefined : scope.source(first);
  const rank = source?.value.tensorType?.shape?.length;
  if (source === undefined || rank === undefined) return undefined;
  const { value, axis } = source;
  const end = axis + dims.length;
  const attributes = { start: axis === 0 ? undefined : axis, end: end === rank ? undefined : end };
  return { cost: 1, build: (b) => b.op("Shape", [value], attributes) };
}

/** One dimension as a vector: read from a tensor, else computed from its terms. */
function planDim(dim: Dim, scope: ShapeScope): Plan | undefined {
  if (typeof dim === "number") return planContent([dim], 1, scope);
  if (scope.source(dim) !== undefined) return planRun([dim], scope);
  if (dim.terms.length > sizeLimit) return undefined;
  const terms = dim.terms.map(({ coefficient, factors }) =>
    factors.map((key) => atomDim(dim, key)).reduce<Dim>(mulDims, coefficient),
  );
  if (terms.length > 1) return combine("Add", terms, scope);
  const [term] = dim.terms;
  if (term === undefined) return undefined;
  const factors: Dim[] = term.factors.map((key) => atomDim(dim, key));
  if (term.coefficient !== 1) factors.push(term.coefficient);
  return factors.length > 1 ? combine("Mul", factors, scope) : planAtom(dim, term.factors[0] ?? "", scope);
}

function planAtom(dim: DimExpr, key: string, scope: ShapeScope): Plan | undefined {
  const atom = dim.atoms.get(key);
  if (atom === undefined || atom.kind === "symbol") return undefined;
  const { kind, left, right } = atom;
  // Div rounds towards zero, which is the floor for operands that are no less than 0.
  if (kind === "floordiv" && !(isNonNegative(left) && isNonNegative(right))) return undefined;
  const operators = { floordiv: "Div", mod: "Mod", max: "Max", min: "Min" } as const;
  return combine(operators[kind], [left, right], scope);
}

function combine(op: string, dims: readonly Dim[], scope: ShapeScope): Plan | undefined {
  const plans: Plan[] = [];
  for (const dim of dims) {
    const plan = planContent([dim], 1, scope);
    if (plan === undefined) return undefined;
    plans.push(plan);
  }
  const cost = plans.reduce((sum, plan) => sum + plan.cost, 0) + plans.length - 1;
  return {
    cost,
    build: (b) => plans.map(({ build }) => build(b)).reduce((left, right) => b.op(op, [left, right])),
  };
}

function atomDim(dim: DimExpr, key: string): Dim {
  const atom = dim.atoms.get(key);
  if (atom === undefined || atom.kind === "symbol") return symbol(key);
  const operations = { floordiv: floorDivDims, mod: modDims, max: maxDims, min: minDims };
  return operations[atom.kind](atom.left, atom.right);
}
