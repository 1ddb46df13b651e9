/** Values of a method's options that its schema tells of: those it refuses, those at its bounds, and its alternatives. */
import { z } from "zod";
import type { Adapter } from "../adapt/define.ts";
import { targetOptions } from "../adapt/targets.ts";
import { alternativesOf, optionNodes, type SchemaNode } from "../pass/option-types.ts";
import type { GivenOptions } from "../pass/options.ts";

/** A value that an option does not take, and what a message about it has to name beside option and value. */
export interface BadValue {
  readonly option: string;
  readonly value: unknown;
  /** The bound, or one of the words that the option takes; undefined where a type says all. */
  readonly bound: string | undefined;
}

/** Values just outside every bound of every option, and of another type. */
export function badValues({ options: schema }: Adapter): BadValue[] {
  return [...optionNodes(schema)].flatMap(([option, node]) => {
    const candidates = alternativesOf(node).flatMap(outside);
    const wrongType = { value: { not: "a value" }, bound: undefined };
    return [...candidates, wrongType]
      .filter(({ value }) => !takes(schema, option, value))
      .map((candidate) => ({ option, ...candidate }));
  });
}

function outside(node: SchemaNode): Omit<BadValue, "option">[] {
  const values: Omit<BadValue, "option">[] = [];
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, type } = node;
  const add = (limit: number | undefined, value: (limit: number) => number): void => {
    if (limit !== undefined && isBound(limit)) values.push({ value: value(limit), bound: String(limit) });
  };
  add(minimum, (limit) => limit - 1);
  add(exclusiveMinimum, (limit) => limit);
  add(maximum, (limit) => limit + 1);
  add(exclusiveMaximum, (limit) => limit);
  if (type === "integer") values.push({ value: 1.5, bound: undefined });
  if (type === "number") values.push({ value: Number.NaN, bound: undefined });
  const words = node.enum?.map(String) ?? [];
  if (words.length > 0) values.push({ value: "no-such-word", bound: words[0] });
  return values;
}

function isBound(limit: number): boolean {
  return Math.abs(limit) !== Number.MAX_SAFE_INTEGER;
}

/** Values that the schema takes at the lower ends of its ranges, small ones where a range has none, and 1 for rates. */
export function edgeValues({ options: schema }: Adapter): { option: string; value: number }[] {
  return [...optionNodes(schema)].flatMap(([option, node]) =>
    alternativesOf(node)
      .filter(({ type }) => type === "integer" || type === "number")
      .flatMap(({ type, minimum }) => [
        ...(minimum === undefined || !isBound(minimum) ? [0, -1] : [minimum]),
        ...(type === "number" ? [1] : []),
      ])
      .filter((value) => takes(schema, option, value))
      .map((value) => ({ option, value })),
  );
}

function takes(schema: z.ZodObject, option: string, value: unknown): boolean {
  const part = schema.shape[option];
  return part instanceof z.ZodType && part.safeParse(value).success;
}

/** The method's options with one of them set to each of its words, to the other truth value, or from nothing to a little. */
export function variations({ options: schema }: Adapter): GivenOptions[] {
  return [...optionNodes(schema)]
    .filter(([option]) => !(option in targetOptions))
    .flatMap(([option, node]) => {
      const fallback = z.instanceof(z.ZodType).parse(schema.shape[option]).safeParse(undefined).data;
      return alternativesOf(node)
        .flatMap((each) => words(each, fallback))
        .filter((value) => value !== fallback && takes(schema, option, value))
        .map((value) => ({ [option]: value }));
    });
}

function words(node: SchemaNode, fallback: unknown): readonly unknown[] {
  if (node.enum !== undefined) return node.enum;
  if (node.const !== undefined) return [node.const];
  if (node.type === "boolean") return [true, false];
  return node.type === "integer" && (fallback === 0 || fallback === null) ? [2] : [];
}
