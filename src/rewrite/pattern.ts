/** Patterns over graphs, written as calls of operators on named values: `p.Transpose(p.x, { perm: p.a })`. */
import { InternalError } from "../diagnostics/define.ts";
import type { Value } from "../ir/value.ts";
import {
  type AttributeTypes,
  isOperatorName,
  isVariableName,
  type OperatorName,
  type VariableName,
} from "./vocabulary.ts";

/** Carries the type of what a pattern binds; nothing at run time. */
declare const bound: unique symbol;
interface Binds<B> {
  readonly [bound]?: B;
}

/** Any value, or in an attribute's place any attribute; the same name twice asks for the same thing twice. */
export interface Variable<N extends string = string> extends Binds<{ readonly [K in N]: Value }> {
  readonly kind: "variable";
  readonly name: N;
}

/** A value that cannot change at run time. */
interface Constant<N extends string = string> extends Binds<{ readonly [K in N]: Value }> {
  readonly kind: "constant";
  readonly name: N;
}

/** All remaining operands of a variadic operator; those left out are not among them. */
interface Rest<N extends string = string> extends Binds<{ readonly [K in N]: readonly Value[] }> {
  readonly kind: "rest";
  readonly name: N;
}

/** An operand that is left out. */
interface Absent extends Binds<unknown> {
  readonly kind: "absent";
}

/** The first result of an operator. */
export interface OpPattern<B = unknown> extends Binds<B> {
  readonly kind: "op";
  readonly domain: string;
  readonly op: string;
  /** Numbers stand for constants all of whose elements are that number. */
  readonly operands: readonly Operand[];
  readonly attributes: Readonly<Record<string, Variable | Literal>>;
  /** Whether nothing else may read the result. */
  readonly once: boolean;
}

/** What may stand for an attribute beside a variable. */
export type Literal = number | string | readonly number[];

/** What may stand in an operand's place. */
export type Operand = Variable | Constant | Rest | Absent | OpPattern | number;

/** Attributes of an operator, by name; those not named may be anything. */
type AttributePatterns = { readonly [K in keyof AttributeTypes]?: Variable | Literal };

type AttributeBindings<T> = {
  readonly [K in keyof T as T[K] extends Variable<infer N> ? N : never]: K extends keyof AttributeTypes
    ? AttributeTypes[K]
    : never;
};

/** What one argument of an operator pattern binds. */
type BindingsOf<T> = T extends number
  ? unknown
  : T extends { readonly kind: string }
    ? T extends Binds<infer B>
      ? B
      : never
    : AttributeBindings<T>;

type Merge<T extends readonly unknown[]> = T extends readonly [infer First, ...infer Others]
  ? BindingsOf<First> & Merge<Others>
  : unknown;

/** An operator in a pattern: operands, then attributes where any are asked for. */
type OperatorPattern = <const T extends readonly (Operand | AttributePatterns)[]>(
  ...args: T
) => OpPattern<Merge<T>>;

/** What patterns are written with. */
export type Patterns = { readonly [N in VariableName]: Variable<N> } & {
  readonly [O in OperatorName]: OperatorPattern;
} & {
  /** An operator of another domain. */
  readonly other: (domain: string, op: string) => OperatorPattern;
  /** Asks that the value be constant. */
  readonly constant: <N extends string>(variable: Variable<N>) => Constant<N>;
  /** Takes every operand from here on. */
  readonly rest: <N extends string>(variable: Variable<N>) => Rest<N>;
  /** Asks that nothing but the matched node read this result. */
  readonly once: <B>(pattern: OpPattern<B>) => OpPattern<B>;
  readonly absent: Absent;
};

function operator(domain: string, op: string): OperatorPattern {
  return <const T extends readonly (Operand | AttributePatterns)[]>(...args: T): OpPattern<Merge<T>> => {
    const operands: Operand[] = [];
    let attributes: AttributePatterns = {};
    args.forEach((arg, index) => {
      if (typeof arg === "number" || "kind" in arg) operands.push(arg);
      else if (index === args.length - 1) attributes = arg;
      else throw new InternalError(`a pattern of ${op} has attributes before an operand`);
    });
    return { kind: "op", domain, op, operands, attributes: { ...attributes }, once: false };
  };
}

const words = {
  other: operator,
  constant: ({ name }: Variable): Constant => ({ kind: "constant", name }),
  rest: ({ name }: Variable): Rest => ({ kind: "rest", name }),
  once: (pattern: OpPattern): OpPattern => ({ ...pattern, once: true }),
  absent: { kind: "absent" },
};

/** The one object that `match` functions are given. @throws InternalError for a word that is none. */
export const patterns: Patterns = new Proxy<object>(words, {
  get(target, key) {
    if (typeof key === "string" && isOperatorName(key)) return operator("", key);
    if (typeof key === "string" && isVariableName(key)) return { kind: "variable", name: key };
    if (Reflect.has(target, key)) return Reflect.get(target, key);
    throw new InternalError(`"${String(key)}" is no operator and no name that patterns may use`);
  },
  // The proxy answers exactly the keys of the mapped types, which no object literal could spell out.
}) as Patterns;
