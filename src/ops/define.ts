/** `defineOp`: binds a typed operator record to nodes, and the short words that records are written with. */
import { InternalError } from "../diagnostics/define.ts";
import { type DType, isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "./builder.ts";
import { dtypeOf } from "./facts.ts";
import {
  type AttributeTable,
  type AttributeValues,
  type Named,
  nameArguments,
  type Param,
  type ParamName,
  type ParamSpelling,
  parseParam,
  readAttributes,
} from "./params.ts";
import type { Op, OpSpec, Refusal, VjpContext } from "./record.ts";

/** No gradient, for a reason that the user reads. */
export function none(reason: string): { readonly kind: "none"; readonly reason: string } {
  return { kind: "none", reason };
}

/** A derivative that is zero almost everywhere; gradients stop here. */
export function zero(reason: string): { readonly kind: "zero"; readonly reason: string } {
  return { kind: "zero", reason };
}

/** A constant evaluation that is not given. */
export function refuse(reason: string): Refusal {
  return { kind: "refusal", reason };
}

/**
 * Declares an operator. Missing keys do not compile; contexts of the rules are typed by the declared inputs, outputs
 * and attributes.
 *
 * @example
 * export const Sigmoid = defineOp({
 *   type: "Sigmoid", versions: [1, 6, 13], inputs: ["x"], outputs: ["y"], attributes: {},
 *   infer: ({ in: { x } }) => [x.type],
 *   evaluate: mapNumbers((x) => 1 / (1 + Math.exp(-x))),
 *   precision: "follow",
 *   gradient: ({ out: { y }, grad, b }) => ({ x: () => b.mul(grad.y, b.mul(y, b.sub(1, y))) }), // y' = y(1-y)
 * });
 */
export function defineOp<
  const I extends readonly ParamSpelling[],
  const O extends readonly ParamSpelling[],
  A extends AttributeTable,
>(spec: OpSpec<I, O, A>): Op {
  const inputs = spec.inputs.map(parseParam);
  const outputs = spec.outputs.map(parseParam);
  const { gradient, evaluate } = spec;

  // The three casts below are the single place where positional arguments become the types that the
  // declarations promise; `Op` callers never see them.
  const operandsOf = <T>(values: readonly (T | null | undefined)[]): Named<I, T> =>
    nameArguments(inputs, values) as Named<I, T>;
  const resultsOf = <T>(values: readonly (T | null | undefined)[]): Named<O, T> =>
    nameArguments(outputs, values) as Named<O, T>;
  const attrsOf = (node: Node): AttributeValues<A> =>
    readAttributes(node, spec.attributes) as AttributeValues<A>;

  return {
    type: spec.type,
    domain: spec.domain ?? "",
    versions: spec.versions,
    inputs,
    outputs,
    attributes: spec.attributes,
    precision: spec.precision,
    gradient: typeof gradient === "function" ? { kind: "vjp" } : { ...gradient },
    upgrades: spec.upgrades ?? {},
    downgrades: spec.downgrades ?? {},
    hostInputs: new Set<string>(spec.hostInputs ?? []),
    ranks: spec.ranks ?? {},
    held: spec.held ?? {},
    carries: positionOf(inputs, spec.carries ?? spec.cost?.view),
    quantized: spec.quantized ?? {},
    rankFree: spec.rankFree ?? false,
    select: spec.select,
    parts: spec.parts,
    cost: {
      view: positionOf(inputs, spec.cost?.view),
      overwrites: positionOf(inputs, spec.cost?.overwrites),
      packs: positionOf(inputs, spec.cost?.packs),
      rows: positionOf(inputs, spec.cost?.rows),
      flops: (node, ofBody) =>
        spec.cost?.flops?.({
          in: operandsOf(node.inputs),
          out: resultsOf(node.outputs),
          attrs: attrsOf(node),
          ofBody,
        }),
    },
    evaluationRefusal:
      typeof evaluate === "function" || evaluate.kind === "expansion" ? undefined : evaluate.reason,

    infer: (node, env) => spec.infer({ node, in: operandsOf(node.inputs), attrs: attrsOf(node), ...env }),

    evaluate(node, values, env) {
      if (typeof evaluate === "function")
        return evaluate({ node, in: operandsOf(values), attrs: attrsOf(node), ...env });
      if (evaluate.kind === "expansion") return evaluate.run(node, values, env, this.expand);
      throw new InternalError(`${spec.type} is not evaluated: ${evaluate.reason}`);
    },

    vjp(node, grads, b) {
      if (typeof gradient !== "function") throw new InternalError(`${spec.type} has no gradient rule`);
      const context: VjpContext<I, O, A> = {
        node,
        in: operandsOf(node.inputs),
        out: resultsOf(node.outputs),
        grad: lazyGrads(node, grads, b, resultsOf),
        attrs: attrsOf(node),
        b,
        hasGrad: (name: ParamName<O>) =>
          grads[outputs.findIndex((output) => output.name === name)] !== undefined,
      };
      const thunks: Readonly<Record<string, ((index: number) => Value) | undefined>> = gradient(context);
      return node.inputs.map((_, position) => {
        const at = Math.min(position, inputs.length - 1);
        const thunk = thunks[inputs[at]?.name ?? ""];
        return thunk === undefined ? undefined : () => thunk(position - at);
      });
    },

    expand(node, b) {
      if (typeof gradient === "function" || gradient.kind !== "expand") {
        throw new InternalError(`${spec.type} has no decomposition`);
      }
      return gradient.rule({ node, in: operandsOf(node.inputs), attrs: attrsOf(node), b });
    },

    regions: (node) =>
      typeof gradient !== "function" && gradient.kind === "bodies" ? gradient.regions(node) : [],

    reverseBodies(context) {
      if (typeof gradient === "function" || gradient.kind !== "bodies") {
        throw new InternalError(`${spec.type} has no rule for its bodies`);
      }
      return gradient.rule(context);
    },
  };
}

function positionOf(params: readonly Param[], name: string | undefined): number | undefined {
  return name === undefined ? undefined : params.findIndex((param) => param.name === name);
}

/** The type of a missing gradient: that of the result, unless the result is quantised and its neighbours say more. */
function gradientType(output: Value, grads: readonly (Value | undefined)[]): DType {
  const dtype = dtypeOf(output);
  if (isFloat(dtype)) return dtype;
  return grads.find((grad) => grad !== undefined)?.tensorType?.dtype ?? "float32";
}

/** Gradients of results by name, those that are missing made of zeros only when a rule reads them. */
function lazyGrads<N extends object>(
  node: Node,
  grads: readonly (Value | undefined)[],
  b: OpBuilder,
  name: (values: readonly (Value | undefined)[]) => N,
): N {
  const zeros = new Map<number, Value>();
  const list = node.outputs.map((output, index) => {
    if (output === null) return undefined;
    return (): Value => {
      const given = grads[index] ?? zeros.get(index) ?? b.fillLike(output, 0, gradientType(output, grads));
      if (grads[index] === undefined) zeros.set(index, given);
      return given;
    };
  });
  const named = name(node.outputs.map((output) => output ?? undefined));
  const at = new Map(node.outputs.map((output, index) => [output, index]));
  return new Proxy(named, {
    get(target, key, receiver) {
      const value: unknown = Reflect.get(target, key, receiver);
      if (Array.isArray(value)) return value.map((item) => list[at.get(item) ?? -1]?.());
      const index = at.get(value as Value);
      return index === undefined ? value : list[index]?.();
    },
  });
}
