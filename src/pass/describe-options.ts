/** Describes the options of a record from its schema: what help, tables and documentation show. */
import { z } from "zod";
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

/** The parts of a JSON schema that types are told by. */
const nodeSchema = z.looseObject({
  /** Several where they need no schema of their own. */
  type: z.union([z.string(), z.array(z.string())]).optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  items: z.unknown().optional(),
  additionalProperties: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
  description: z.string().optional(),
});

type SchemaNode = z.output<typeof nodeSchema>;

/** The options of a schema, in its order. */
export function describeOptions(schema: z.ZodObject): OptionDescription[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return Object.entries(schema.shape).map(([name, part]) => {
    const node = nodeSchema.parse(properties[name] ?? {});
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

function typeText(node: SchemaNode): string {
  if (node.anyOf !== undefined) {
    const types = node.anyOf.map((each) => typeText(nodeSchema.parse(each)));
    return [...new Set(types)].join(", or ");
  }
  if (Array.isArray(node.type)) {
    const types = node.type.map((type) => typeText({ ...node, type }));
    return [...new Set(types)].join(", or ");
  }
  if (node.const !== undefined) return String(node.const);
  if (node.enum !== undefined) return alternatives(node.enum.map(String));
  switch (node.type) {
    case "boolean":
      return "true or false";
    case "integer":
      return `whole number${bounds(node)}`;
    case "number":
      return `number${bounds(node)}`;
    case "string":
      return "text";
    case "null":
      return "null";
    case "array":
      return `list of ${typeText(nodeSchema.parse(node.items ?? {}))}`;
    case "object":
      return `JSON object${ofValues(node)}`;
    default:
      return "any value";
  }
}

function ofValues({ additionalProperties: values }: SchemaNode): string {
  return typeof values === "object" && values !== null ? ` of ${typeText(nodeSchema.parse(values))}` : "";
}

function bounds({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: SchemaNode): string {
  const isLimit = (value: number | undefined): value is number =>
    value !== undefined && Math.abs(value) !== Number.MAX_SAFE_INTEGER;
  const parts = [
    isLimit(minimum) ? `>= ${minimum}` : undefined,
    isLimit(exclusiveMinimum) ? `> ${exclusiveMinimum}` : undefined,
    isLimit(maximum) ? `<= ${maximum}` : undefined,
    isLimit(exclusiveMaximum) ? `< ${exclusiveMaximum}` : undefined,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? "" : ` ${parts.join(", ")}`;
}

function alternatives(values: readonly string[]): string {
  if (values.length < 2) return values.join("");
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}
