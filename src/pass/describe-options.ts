/** Describes the options of a record from its schema: what help, tables and documentation show. */
import { z } from "zod";
import { optionNodes, typeText } from "./option-types.ts";
import { printValue } from "./options.ts";

/** One option, in words. */
export interface OptionDescription {
  readonly name: string;
  /** Type with bounds, such as `whole number >= 1` or `none, all or lora_only`. */
  readonly type: string;
  /** Absent where the option has to be given, or where leaving it out means that there is none. */
  readonly default?: unknown;
  readonly description: string;
}

/** The options of a schema, in its order. */
export function describeOptions(schema: z.ZodObject): OptionDescription[] {
  const nodes = optionNodes(schema);
  return Object.entries(schema.shape).map(([name, part]) => {
    const node = nodes.get(name) ?? {};
    const fallback = defaultOf(part);
    return {
      name,
      type: typeText(node),
      ...(fallback === undefined ? {} : { default: fallback }),
      description: node.description ?? "",
    };
  });
}

/** Whether an option is a switch, which may be named without a value. */
export function isSwitch({ type }: OptionDescription): boolean {
  return type === "true or false";
}

/** A default as people write it; undefined where there is none, or where it is null. */
export function defaultText({ default: value }: OptionDescription): string | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === "object" && !Array.isArray(value) ? JSON.stringify(value) : printValue(value);
}

function defaultOf(part: unknown): unknown {
  return part instanceof z.ZodType ? part.safeParse(undefined).data : undefined;
}
