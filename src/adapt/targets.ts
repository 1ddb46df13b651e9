/** PEFT's rules for choosing modules by name (`check_target_module_exists`, `get_pattern_key`), reproduced exactly. */
import { z } from "zod";
import { compilePattern, fullMatch, isPattern } from "./pattern.ts";

const expression = "expected a regular expression";

/** A list of names, or one regular expression. */
export const names = z
  .union([z.string(), z.array(z.string()).transform((list) => [...new Set(list)])])
  .refine((value) => typeof value !== "string" || isPattern(value), expression);

/** Regular expressions, one or several. */
const patterns = z
  .union([z.string(), z.array(z.string())])
  .refine((value) => [value].flat().every(isPattern), expression);

/** Values by regular expression over the end of a path, such as `rank_pattern`. */
export function byPattern<V extends z.ZodType>(value: V): z.ZodRecord<z.ZodString, V> {
  return z
    .record(z.string(), value)
    .refine((record) => Object.keys(record).every(isPattern), "expected regular expressions as keys");
}

/** Options that nearly every method shares, under PEFT's names. */
export const targetOptions = {
  target_modules: names
    .nullable()
    .default(null)
    .describe(
      "modules to adapt: a list of path suffixes, a regular expression for the whole path, or all-linear",
    ),
  exclude_modules: names.nullable().default(null).describe("modules to leave alone, matched in the same way"),
  layers_to_transform: z
    .union([z.int().nonnegative(), z.array(z.int().nonnegative())])
    .nullable()
    .default(null)
    .describe("only layers with these indices"),
  layers_pattern: patterns
    .nullable()
    .default(null)
    .describe("name of the layer list that the indices count in"),
  modules_to_save: z
    .array(z.string())
    .nullable()
    .default(null)
    .describe("modules trained whole beside the adapter, and stored with it"),
};

/** The parsed values of {@link targetOptions}. */
export type TargetOptions = z.output<z.ZodObject<typeof targetOptions>>;

/**
 * Refuses layers where they would have no effect, as PEFT does: beside one expression for all targets, or a name of the list
 * of layers without indices into it.
 */
export function checkLayers(
  context: z.core.ParsePayload<
    Pick<TargetOptions, "target_modules" | "layers_to_transform" | "layers_pattern">
  >,
): void {
  const { target_modules: targets, layers_to_transform: layers, layers_pattern: list } = context.value;
  const refuse = (option: string, expected: string): void => {
    context.issues.push({
      code: "custom",
      path: [option],
      message: `expected ${expected}`,
      input: context.value,
    });
  };
  const [hasLayers, hasList] = [layers, list].map((value) => value !== null && [value].flat().length > 0);
  if (typeof targets === "string") {
    const reason = "nothing beside a single expression for target_modules; give a list of names";
    if (hasLayers) refuse("layers_to_transform", reason);
    else if (hasList) refuse("layers_pattern", reason);
  } else if (hasList && !hasLayers) {
    refuse("layers_pattern", "layers_to_transform beside it");
  }
}

/** The word that stands for every linear layer but the output head. */
export const allLinear = "all-linear";

export function isAllLinear(targets: TargetOptions["target_modules"]): boolean {
  return typeof targets === "string" && targets.toLowerCase() === allLinear;
}

/** Whether a list matches by suffix at a dot, or a string by regular expression over the whole path. */
export function matchesNames(patterns: string | readonly string[], path: string): boolean {
  if (typeof patterns === "string") return fullMatch(patterns, path);
  return patterns.some((name) => path === name || path.endsWith(`.${name}`));
}

/** Whether options choose a module, `all-linear` not considered. */
export function isTargeted(options: TargetOptions, path: string): boolean {
  const { target_modules: targets, exclude_modules: excluded, layers_to_transform: layers } = options;
  if (excluded !== null && matchesNames(excluded, path)) return false;
  if (targets === null || !matchesNames(targets, path)) return false;
  // An entry that is the whole path of a module is not filtered by layer.
  if (typeof targets === "string" || targets.includes(path)) return true;
  return isInLayers(layers, options.layers_pattern, path);
}

/** Whether the layer index in a path is one of those asked for; no index is no match. */
function isInLayers(
  layers: TargetOptions["layers_to_transform"],
  pattern: TargetOptions["layers_pattern"],
  path: string,
): boolean {
  const wanted = layers === null ? [] : typeof layers === "number" ? [layers] : layers;
  if (wanted.length === 0) return true;
  // A list of any name has to have a module around it; one that is named may stand at the top.
  const lists =
    pattern === null || pattern.length === 0
      ? [compilePattern("[^.]*", "^.*?\\.{}\\.(?<index>\\d+)\\.")]
      : [pattern].flat().map((list) => compilePattern(list, "^(?:(?:^|.*?\\.){}\\.(?<index>\\d+)\\.)"));
  for (const list of lists) {
    const index = list.exec(path)?.groups?.index;
    if (index !== undefined) return wanted.includes(Number(index));
  }
  return false;
}

/** The value of the first key, in order, whose regular expression ends the path: `rank_pattern`, `alpha_pattern`. */
export function matchPattern<T>(patterns: Readonly<Record<string, T>>, path: string): T | undefined {
  const key = Object.keys(patterns).find((pattern) => compilePattern(pattern, "^(.*\\.)?({})$").test(path));
  return key === undefined ? undefined : patterns[key];
}

/** Whether a module is saved whole: PEFT tests for a plain string suffix, also inside a segment. */
export function isSaved(saved: readonly string[], path: string): boolean {
  return saved.some((name) => path.endsWith(name));
}
