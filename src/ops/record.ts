/** What an operator record holds: schema, shape rule, evaluation, precision class and gradient, all required. */
import type { Dim } from "../ir/dim.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { TensorType, ValueType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "./builder.ts";
import type { NDArray } from "./ndarray.ts";
import type { AttributeTable, AttributeValues, Named, Param, ParamName, ParamSpelling } from "./params.ts";

/**
 * How mixed precision treats an operator: `low` profits from 16-bit operands (products), `follow` computes in
 * whatever type its operands have, `full` needs float32 operands, `exact` does no float arithmetic.
 */
export type PrecisionClass = "low" | "follow" | "full" | "exact";

/** What a shape rule says of one result; undefined where it knows nothing. */
export type Inferred =
  | ValueType
  | { readonly type: TensorType; readonly content: readonly Dim[] }
  | undefined;

/** What a shape rule sees. Types of operands stand on the values themselves. */
export interface InferContext<I extends readonly ParamSpelling[], A extends AttributeTable> {
  readonly node: Node;
  readonly in: Named<I, Value>;
  readonly attrs: AttributeValues<A>;
  /** Version of the operator's domain that the model imports. */
  readonly opset: number;
  /** Infers the types inside a body whose inputs have been given types. */
  readonly inferBody: (body: Graph) => void;
}

/** What an evaluation sees. */
export interface EvaluateContext<I extends readonly ParamSpelling[], A extends AttributeTable> {
  readonly node: Node;
  readonly in: Named<I, NDArray>;
  readonly attrs: AttributeValues<A>;
  readonly opset: number;
  /** Float results are not rounded to their type: the float64 mode of gradient checks. */
  readonly exact: boolean;
  /** Runs a body on its inputs; captured values are found by the evaluator. */
  readonly runBody: (body: Graph, inputs: readonly NDArray[]) => NDArray[];
}

/** What a gradient rule sees: operands, results and the gradients of the results. */
export interface VjpContext<
  I extends readonly ParamSpelling[],
  O extends readonly ParamSpelling[],
  A extends AttributeTable,
> {
  readonly node: Node;
  readonly in: Named<I, Value>;
  readonly out: Named<O, Value>;
  /** Gradient of each result; reading that of a result without one gives zeros of its shape. */
  readonly grad: Named<O, Value>;
  readonly attrs: AttributeValues<A>;
  readonly b: OpBuilder;
  /** Whether the loss depends on this result at all. */
  readonly hasGrad: (output: ParamName<O>) => boolean;
}

/** Gradient of one operand, built only when asked for; for a variadic parameter, of its element `index`. */
export type GradientThunk = (index: number) => Value;

/**
 * The gradient of an operator, always said. A vector-Jacobian rule (a plain function) and an `expand` rule give local algebra only: the autodiff driver
 * sums over broadcast axes, accumulates, and checks types and shapes.
 */
export type Gradient<
  I extends readonly ParamSpelling[],
  O extends readonly ParamSpelling[],
  A extends AttributeTable,
> =
  | ((context: VjpContext<I, O, A>) => Partial<Record<ParamName<I>, GradientThunk>>)
  /** Differentiated through an equivalent of other operators; gives a replacement for each result. */
  | { readonly kind: "expand"; readonly rule: (context: ExpandContext<I, A>) => readonly (Value | null)[] }
  /** Differentiated body by body: the rule runs the bodies backwards, in a node of its own. */
  | {
      readonly kind: "bodies";
      readonly regions: (node: Node) => readonly Region[];
      readonly rule: (context: BodiesContext) => BodiesGradient;
    }
  /** The derivative is zero almost everywhere; gradients stop here without a word. */
  | { readonly kind: "zero"; readonly reason: string }
  /** A loss that depends on a trainable through this operator is refused with this reason. */
  | { readonly kind: "none"; readonly reason: string };

/** How values flow through one body of a node, all by position. */
export interface Region {
  readonly body: Graph;
  /** The operand that each input of the body holds at first, or a part of it; undefined for what the operator makes. */
  readonly enters: readonly (number | undefined)[];
  /** The input that holds each output of the body in the next iteration. */
  readonly carries: readonly (number | undefined)[];
  /** The result that each output of the body ends in, or becomes a part of. */
  readonly leaves: readonly (number | undefined)[];
}

/** The part of a region that cotangents flow through. Positions are those of the body's inputs and outputs. */
export interface RegionFlow {
  readonly region: Region;
  /** Values from one iteration to the next whose cotangents run the other way. */
  readonly carried: readonly { readonly input: number; readonly output: number }[];
  /** Inputs that hold parts of operands which want a gradient. */
  readonly slices: readonly number[];
  /** Outputs whose results have a gradient and that are not carried. */
  readonly stacked: readonly number[];
  /** Values around the body that want a gradient. */
  readonly captures: readonly Value[];
}

/** What the rule of a node with bodies sees. */
export interface BodiesContext {
  readonly node: Node;
  /** Gradients of the results by position. */
  readonly grads: readonly (Value | undefined)[];
  /** One for each region, in their order. */
  readonly flows: readonly RegionFlow[];
  readonly b: OpBuilder;
  /** Appends the backward graph of a body to it; as `differentiate` of autodiff. */
  readonly differentiate: (
    body: Graph,
    seeds: readonly { readonly value: Value; readonly gradient: Value }[],
    variables: readonly Value[],
  ) => readonly (Value | undefined)[];
}

/** Gradients of operands by position, and of what the bodies read from around them. */
export interface BodiesGradient {
  readonly operands: ReadonlyMap<number, Value>;
  readonly captures: ReadonlyMap<Value, Value>;
}

/** What a decomposition sees. */
export interface ExpandContext<I extends readonly ParamSpelling[], A extends AttributeTable> {
  readonly node: Node;
  readonly in: Named<I, Value>;
  readonly attrs: AttributeValues<A>;
  readonly b: OpBuilder;
}

/** An evaluation by the operator's own `expand` rule, in a graph of its own. */
export interface ByExpansion {
  readonly kind: "expansion";
  readonly run: (
    node: Node,
    inputs: readonly (NDArray | undefined)[],
    env: Pick<EvaluateEnv, "opset" | "exact">,
    expand: (node: Node, b: OpBuilder) => readonly (Value | null)[],
  ) => readonly (NDArray | null)[];
}

/** A rule that cannot be given, with the reason for the reader. */
export interface Refusal {
  readonly kind: "refusal";
  readonly reason: string;
}

/** Rewrites a node of an older version to the meaning of the version it is listed under. */
export type Upgrade = (node: Node, b: OpBuilder) => void;

/**
 * How a gradient passes whole numbers (and 8-bit floats) that stand for real ones: it is the derivative by the number
 * taken as real, as if nothing had been rounded (the straight-through estimator, Bengio et al., arXiv:1308.3432).
 */
export interface QuantizedPath<I extends string, O extends string> {
  /** Operands that a gradient is given where they are such numbers. */
  readonly reads?: readonly I[];
  /** Results that are such numbers, or may be where a result has an operand's type. */
  readonly makes?: readonly O[];
  /** Float results that are constants to differentiation: scales computed from the data that they scale. */
  readonly holds?: readonly O[];
}

/** What a selection rule sees: it makes the first result at some indices of `axis` alone. */
export interface SelectContext {
  readonly node: Node;
  /** Axis of the first result, from 0. */
  readonly axis: number;
  /** How many indices are selected. */
  readonly count: number;
  /** Operand `index` at the same indices of its axis `axis`; builds a node, so it is called only by a rule that goes through. */
  readonly take: (index: number, axis: number) => Value;
  readonly b: OpBuilder;
}

/** The result at some indices of one axis, from the parts of the operands that it depends on; undefined where that saves nothing. */
export type Select = (context: SelectContext) => Value | undefined;

/** What a rule for parts of a batch sees. Types are those of a part: only the axis of its rows has `rows` in its size. */
export interface PartsContext {
  readonly node: Node;
  /** Number of rows of a part. */
  readonly rows: Dim;
  /** Axis of operand `index` whose outermost factor are the rows; undefined where the operand is the same for every part. */
  readonly axisOf: (index: number) => number | undefined;
  /** Whether the operands of all parts add up to that of the whole batch. */
  readonly isSum: (index: number) => boolean;
}

/**
 * How the results of a part relate to those of the whole batch: an axis along which they lie side by side, or `sum` where they add
 * up to it; undefined where neither is so.
 */
export type Parts = (context: PartsContext) => number | "sum" | undefined;

/** What a cost rule sees; the types of operands and results stand on the values. */
export interface CostContext<
  I extends readonly ParamSpelling[],
  O extends readonly ParamSpelling[],
  A extends AttributeTable,
> {
  readonly in: Named<I, Value>;
  readonly out: Named<O, Value>;
  readonly attrs: AttributeValues<A>;
  /** Operations of one run of a body. */
  readonly ofBody: (body: Graph) => Dim;
}

/** What running an operator takes on the CPU provider of ONNX Runtime 1.30, each measured there; for analyses only. */
export interface CostSpec<
  I extends readonly ParamSpelling[],
  O extends readonly ParamSpelling[],
  A extends AttributeTable,
> {
  /**
   * Floating-point operations, a multiplication and an addition counted as two; for products and for what runs bodies. Other work is
   * bound by memory, and counts as none.
   */
  readonly flops?: (context: CostContext<I, O, A>) => Dim;
  /** Operand whose memory the first result is: the same elements in another shape. */
  readonly view?: ParamName<I>;
  /** Operand whose memory the first result takes where nothing else reads it and both have the same size. */
  readonly overwrites?: ParamName<I>;
  /** Operand that is copied into the layout of the kernel when the session is made, where it is a constant matrix. */
  readonly packs?: ParamName<I>;
  /** Operand of which only some rows are read. */
  readonly rows?: ParamName<I>;
}

/** The same for any operator. */
export interface Cost {
  readonly view: number | undefined;
  readonly overwrites: number | undefined;
  readonly packs: number | undefined;
  readonly rows: number | undefined;
  /** Undefined where the record has no rule; the types of operands and results must be known. */
  flops(node: Node, ofBody: (body: Graph) => Dim): Dim | undefined;
}

/** What the author of an operator writes. */
export interface OpSpec<
  I extends readonly ParamSpelling[],
  O extends readonly ParamSpelling[],
  A extends AttributeTable,
> {
  readonly type: string;
  /** "" (ai.onnx) where absent. */
  readonly domain?: string;
  /** Every version of the schema that ONNX lists, ascending. The rules speak the newest at opset 20 and above. */
  readonly versions: readonly number[];
  readonly inputs: I;
  readonly outputs: O;
  readonly attributes: A;
  readonly infer: (context: InferContext<I, A>) => readonly Inferred[];
  readonly evaluate:
    | ((context: EvaluateContext<I, A>) => readonly (NDArray | null)[])
    | ByExpansion
    | Refusal;
  readonly precision: PrecisionClass;
  readonly gradient: Gradient<I, O, A>;
  /** By the version they lead to. */
  readonly upgrades?: Readonly<Record<number, Upgrade>>;
  /**
   * For versions newer than any that the runtime loads, by the version: rewrites a node to the version before, or throws where it says what that
   * one cannot. A version without an entry only takes further types.
   */
  readonly downgrades?: Readonly<Record<number, Upgrade>>;
  /** Operands that are shapes, axes or sizes: read on the CPU by every provider, never cast, never differentiated. */
  readonly hostInputs?: readonly ParamName<I>[];
  /** How many axes operands have, at least and at most, where the schema says so; any number where it is left out. */
  readonly ranks?: Readonly<Partial<Record<ParamName<I>, Rank>>>;
  /** Operands that PyTorch takes for constants: gradients stop there without a word, for the reason given. */
  readonly held?: Readonly<Partial<Record<ParamName<I>, string>>>;
  /** Operand whose elements the first result holds one by one, maybe of another type; that of `cost.view` unless said. */
  readonly carries?: ParamName<I>;
  /** Where gradients pass quantised numbers; nowhere where it is left out. */
  readonly quantized?: QuantizedPath<ParamName<I>, ParamName<O>>;
  /** For operators that work on each index of an axis by itself. */
  readonly select?: Select;
  /** For operators that can work on some rows of a batch at a time. */
  readonly parts?: Parts;
  /** What running it takes; nothing but the memory of its results where it is left out. */
  readonly cost?: CostSpec<I, O, A>;
  /** Whether the gradient rule asks for ranks at run time alone, so that it holds where no rank is known. */
  readonly rankFree?: boolean;
}

/** A number of axes, or the least and the most; any more where that is left out. */
export type Rank = number | readonly [least: number, most?: number];

/** How an operator is differentiated, if at all. */
export type GradientKind = "vjp" | "expand" | "bodies" | "zero" | "none";

/** What running a rule needs from outside the node. */
export type InferEnv = Pick<InferContext<[], AttributeTable>, "opset" | "inferBody">;

/** What evaluating a node needs from outside it. */
export type EvaluateEnv = Pick<EvaluateContext<[], AttributeTable>, "opset" | "exact" | "runBody">;

/** An operator record with its types erased: what the registry holds and shared code asks. */
export interface Op {
  readonly type: string;
  readonly domain: string;
  readonly versions: readonly number[];
  readonly inputs: readonly Param[];
  readonly outputs: readonly Param[];
  readonly attributes: AttributeTable;
  readonly precision: PrecisionClass;
  readonly gradient: { readonly kind: GradientKind; readonly reason?: string };
  readonly upgrades: Readonly<Record<number, Upgrade>>;
  readonly downgrades: Readonly<Record<number, Upgrade>>;
  readonly hostInputs: ReadonlySet<string>;
  readonly ranks: Readonly<Partial<Record<string, Rank>>>;
  readonly held: Readonly<Partial<Record<string, string>>>;
  /** Position of the operand whose elements the first result holds in their order. */
  readonly carries: number | undefined;
  readonly quantized: QuantizedPath<string, string>;
  readonly rankFree: boolean;
  readonly select: Select | undefined;
  readonly parts: Parts | undefined;
  readonly cost: Cost;
  /** Why constants are not evaluated; undefined where they are. */
  readonly evaluationRefusal: string | undefined;
  infer(node: Node, env: InferEnv): readonly Inferred[];
  evaluate(
    node: Node,
    inputs: readonly (NDArray | undefined)[],
    env: EvaluateEnv,
  ): readonly (NDArray | null)[];
  /** Gradient thunk of each operand by position; undefined where the rule gives none. Kind `vjp` only. */
  vjp(
    node: Node,
    grads: readonly (Value | undefined)[],
    b: OpBuilder,
  ): readonly ((() => Value) | undefined)[];
  /** Kind `expand` only. */
  expand(node: Node, b: OpBuilder): readonly (Value | null)[];
  /** How values flow through the bodies of a node; none where the kind is not `bodies`. */
  regions(node: Node): readonly Region[];
  /** Kind `bodies` only. */
  reverseBodies(context: BodiesContext): BodiesGradient;
}

/** The formal parameter that operand or result `index` belongs to. */
export function paramAt(params: readonly Param[], index: number): Param | undefined {
  const last = params.at(-1);
  return params[index] ?? (last?.variadic === true ? last : undefined);
}

/** Whether gradients may flow into operand `index`: it is neither a shape, axes or sizes nor held constant. */
export function takesGradient(op: Op | undefined, index: number): boolean {
  const name = op === undefined ? undefined : paramAt(op.inputs, index)?.name;
  return name === undefined || (op?.hostInputs.has(name) === false && op.held[name] === undefined);
}
