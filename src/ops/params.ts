/** Formal parameters and attributes of operators, declared as data from which contexts get their types. */
import type { AttributeKind } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { ValueType } from "../ir/type.ts";

/** Spelled `x`, `bias?` where optional, `xs...` where variadic (last only). */
export type ParamSpelling = string;

/** A formal input or output. */
export interface Param {
  readonly name: string;
  readonly optional: boolean;
  readonly variadic: boolean;
}

type BareName<S extends string> = S extends `${infer N}?` ? N : S extends `${infer N}...` ? N : S;

/** Arguments by parameter name: `T` each, `T | undefined` for optional, a list for variadic parameters. */
export type Named<P extends readonly ParamSpelling[], T> = {
  readonly [K in P[number] as BareName<K>]: K extends `${string}...`
    ? readonly T[]
    : K extends `${string}?`
      ? T | undefined
      : T;
};

/** Parameter names without their marks. */
export type ParamName<P extends readonly ParamSpelling[]> = BareName<P[number]>;

/** Reads the spelling of a parameter. */
export function parseParam(spelling: ParamSpelling): Param {
  const optional = spelling.endsWith("?");
  const variadic = spelling.endsWith("...");
  return { name: spelling.replace(/\?$|\.\.\.$/, ""), optional, variadic };
}

/** Groups positional arguments by parameter name, as {@link Named} types it. */
export function nameArguments<T>(
  params: readonly Param[],
  values: readonly (T | null | undefined)[],
): Record<string, T | readonly T[] | undefined> {
  const named: Record<string, T | readonly T[] | undefined> = {};
  params.forEach(({ name, variadic }, index) => {
    named[name] = variadic
      ? values.slice(index).filter((value): value is T => value != null)
      : (values[index] ?? undefined);
  });
  return named;
}

/** Values that a whole number, or each of a list, may have; ends are included. */
export interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

/** Sizes and steps: no runtime counts axes beyond 32 bits. */
export const counts: Bounds = { least: 1, most: 2 ** 31 - 1 };

/** The same where 0 means none. */
export const amounts: Bounds = { ...counts, least: 0 };

/** How one attribute is read: its ONNX kind, and what stands for it when it is absent. */
export interface AttributeSpec<T> {
  readonly kind: AttributeKind;
  /** Checked before any rule runs. */
  readonly bounds?: Bounds | undefined;
  readonly fallback: T;
  readonly read: (node: Node, name: string) => T | undefined;
}

/** Attribute declarations of an operator. */
export type AttributeTable = Readonly<Record<string, AttributeSpec<unknown>>>;

/** Attribute values that a table declares. */
export type AttributeValues<A extends AttributeTable> = {
  readonly [K in keyof A]: A[K] extends AttributeSpec<infer T> ? T : never;
};

/** Reads every declared attribute of a node. */
export function readAttributes(node: Node, table: AttributeTable): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(table).map(([name, spec]) => [name, spec.read(node, name) ?? spec.fallback]),
  );
}

/** A whole number attribute with the given default; beyond 2^53 values saturate. */
export function int(fallback: number, bounds?: Bounds): AttributeSpec<number> {
  return { kind: "int", bounds, fallback, read: (node, name) => node.int(name, undefined) };
}

/** A whole number attribute that may be absent. */
export function maybeInt(bounds?: Bounds): AttributeSpec<number | undefined> {
  return { kind: "int", bounds, fallback: undefined, read: (node, name) => node.int(name, undefined) };
}

/** A list of whole numbers that may be absent. */
export function ints(bounds?: Bounds): AttributeSpec<readonly number[] | undefined> {
  return { kind: "ints", bounds, fallback: undefined, read: (node, name) => node.ints(name, undefined) };
}

/** A float attribute with the given default. */
export function float(fallback: number): AttributeSpec<number> {
  return { kind: "float", fallback, read: (node, name) => node.float(name, undefined) };
}

/** A float attribute that may be absent. */
export function maybeFloat(): AttributeSpec<number | undefined> {
  return { kind: "float", fallback: undefined, read: (node, name) => node.float(name, undefined) };
}

/** A list of floats that may be absent. */
export function floats(): AttributeSpec<readonly number[] | undefined> {
  return {
    kind: "floats",
    fallback: undefined,
    read: (node, name) => {
      const attribute = node.attributes.get(name);
      return attribute?.kind === "floats" ? attribute.value : undefined;
    },
  };
}

/** A list of texts that may be absent; bytes that are no text are read as "". */
export function texts(): AttributeSpec<readonly string[] | undefined> {
  return {
    kind: "strings",
    fallback: undefined,
    read: (node, name) => {
      const attribute = node.attributes.get(name);
      if (attribute?.kind !== "strings") return undefined;
      return attribute.value.map((value) => (typeof value === "string" ? value : ""));
    },
  };
}

/** A text attribute with the given default. */
export function text(fallback: string): AttributeSpec<string> {
  return { kind: "string", fallback, read: (node, name) => node.string(name, undefined) };
}

/** A tensor attribute that may be absent. */
export function tensor(): AttributeSpec<Tensor | undefined> {
  return {
    kind: "tensor",
    fallback: undefined,
    read: (node, name) => {
      const attribute = node.attributes.get(name);
      return attribute?.kind === "tensor" ? attribute.value : undefined;
    },
  };
}

/** A subgraph attribute that may be absent. */
export function graph(): AttributeSpec<Graph | undefined> {
  return {
    kind: "graph",
    fallback: undefined,
    read: (node, name) => {
      const attribute = node.attributes.get(name);
      return attribute?.kind === "graph" ? attribute.value : undefined;
    },
  };
}

/** A type attribute that may be absent. */
export function valueType(): AttributeSpec<ValueType | undefined> {
  return {
    kind: "type",
    fallback: undefined,
    read: (node, name) => {
      const attribute = node.attributes.get(name);
      return attribute?.kind === "type" ? attribute.value : undefined;
    },
  };
}
