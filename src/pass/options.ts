/** Options by schema: text becomes typed values, bad ones become diagnostics, values become text again. */
import { z } from "zod";
import { type DiagnosticError, joinDiagnostics, nearNames } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";
import { optionNodes, typeText } from "./option-types.ts";
import { OptionText, type OptionWord, printWord } from "./syntax.ts";

/** Options as a caller gives them: typed values, or {@link OptionText} where they were read from a pipeline. */
export type GivenOptions = Readonly<Record<string, unknown>>;

/**
 * Gives every option the type that the schema asks for and checks it; defaults are left to the schema.
 *
 * @param owner who has the options, as messages name it, such as `pass "fold"`.
 * @returns what the schema takes as input.
 * @throws DiagnosticError E_UNKNOWN_OPTION, E_BAD_OPTION, one for each option at fault.
 */
export function resolveOptions(
  owner: string,
  schema: z.ZodObject,
  given: GivenOptions = {},
): Record<string, unknown> {
  const known = Object.keys(schema.shape);
  const errors: DiagnosticError[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const part = schema.shape[name];
    if (part === undefined)
      errors.push(passErrors.E_UNKNOWN_OPTION(owner, name, known, nearNames(name, known)));
    else if (value !== undefined) values[name] = value instanceof OptionText ? coerce(part, value) : value;
  }
  const unknown = new Set(Object.keys(given).filter((name) => !known.includes(name)));
  const result = schema.safeParse(values);
  for (const issue of result.error?.issues ?? []) {
    const name = String(issue.path[0] ?? "");
    if ((issue.code === "unrecognized_keys" && issue.path.length === 0) || unknown.has(name)) continue;
    // Of these zod says no more than that no member takes the value, or which key is one too many.
    const isVague = issue.code === "invalid_union" || issue.code === "unrecognized_keys";
    const type = isVague ? typeText(optionNodes(schema).get(name) ?? {}) : undefined;
    const [, told = issue.message] = /expected (.*?)(?:, received .*)?$/.exec(issue.message) ?? [];
    const expected = type ?? told;
    const got = name in values ? printValue(values[name]) : "nothing";
    errors.push(passErrors.E_BAD_OPTION(owner, name || "(all)", expected, got));
  }
  const [first, ...rest] = errors;
  if (first !== undefined) throw joinDiagnostics([first, ...rest]);
  return values;
}

/** Text of the options that differ from their defaults, in the schema's order: `k=v other="a b"`. */
export function printOptions(schema: z.ZodObject, values: Readonly<Record<string, unknown>>): string {
  return Object.keys(schema.shape)
    .filter((name) => values[name] !== undefined)
    .map((name) => ({ name, text: printValue(values[name]), fallback: defaultText(schema.shape[name]) }))
    .filter(({ text, fallback }) => text !== fallback)
    .map(({ name, text }) => `${name}=${text}`)
    .join(" ");
}

function defaultText(schema: unknown): string | undefined {
  if (!(schema instanceof z.ZodType)) return undefined;
  const result = schema.safeParse(undefined);
  return result.success && result.data !== undefined ? printValue(result.data) : undefined;
}

/** A value as pipelines write it. */
export function printValue(value: unknown): string {
  if (typeof value === "string") return printWord(value);
  if (Array.isArray(value)) {
    const items = value.map(printValue).join(",");
    return value.length === 0 ? "[]" : items;
  }
  return typeof value === "object" && value !== null ? printWord(JSON.stringify(value)) : String(value);
}

/** The value that the schema would take for this text; where none fits, the text, for the schema to refuse. */
function coerce(schema: unknown, option: OptionText): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return coerce(schema.def.innerType, option);
  }
  if (schema instanceof z.ZodReadonly) return coerce(schema.def.innerType, option);
  if (schema instanceof z.ZodPipe) return coerce(schema.def.in, option);
  if (schema instanceof z.ZodNullable) {
    const [word] = option.words;
    return !option.isList && isBare(word, "null") ? null : coerce(schema.def.innerType, option);
  }
  if (schema instanceof z.ZodUnion) {
    const candidates = schema.def.options.map((part) => ({ part, value: coerce(part, option) }));
    const fit = candidates.find(
      ({ part, value }) => part instanceof z.ZodType && part.safeParse(value).success,
    );
    return fit === undefined ? plainText(option) : fit.value;
  }
  if (schema instanceof z.ZodArray) {
    return option.words.map((word) => coerce(schema.def.element, new OptionText([word], false)));
  }
  return option.isList ? plainText(option) : coerceWord(schema, option.words[0]);
}

function coerceWord(schema: unknown, word: OptionWord | undefined): unknown {
  if (word === undefined) return undefined;
  const { text, quoted } = word;
  if (schema instanceof z.ZodObject || schema instanceof z.ZodRecord) return parseJson(text);
  if (quoted) return text;
  if (schema instanceof z.ZodNumber)
    return Number.isNaN(Number(text)) && text !== "NaN" ? text : Number(text);
  if (schema instanceof z.ZodBoolean) return text === "true" || (text === "false" ? false : text);
  if (schema instanceof z.ZodNull) return text === "null" ? null : text;
  if (schema instanceof z.ZodLiteral)
    return [...schema.values].find((value) => String(value) === text) ?? text;
  return text;
}

function isBare(word: OptionWord | undefined, text: string): boolean {
  return word !== undefined && !word.quoted && word.text === text;
}

function plainText(option: OptionText): unknown {
  const texts = option.words.map(({ text }) => text);
  return option.isList ? texts : texts[0];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
