/** The types of options in words, with bounds, as their schemas say them. */
import { z } from "zod";

/** The parts of a JSON schema that types are told by. */
const nodeSchema = z.looseObject({
  /** Several where they need no schema of their own. */
  type: z.union([z.string(), z.array(z.string())]).optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  items: z.unknown().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  additionalProperties: z.unknown().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  exclusiveMaximum: z.number().optional(),
  description: z.string().optional(),
});

export type SchemaNode = z.output<typeof nodeSchema>;

/** What the schema of an option says of its type and bounds, by the option's name. */
export function optionNodes(schema: z.ZodObject): ReadonlyMap<string, SchemaNode> {
  const { properties = {} } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return new Map(Object.keys(schema.shape).map((name) => [name, nodeSchema.parse(properties[name] ?? {})]));
}

/** The alternatives that a node consists of: itself, unless it is a union. */
export function alternativesOf(node: SchemaNode): SchemaNode[] {
  if (node.anyOf !== undefined) return node.anyOf.flatMap((each) => alternativesOf(nodeSchema.parse(each)));
  return Array.isArray(node.type) ? node.type.map((type) => ({ ...node, type })) : [node];
}

/** A type with its bounds, such as `whole number >= 1`, or `none, all or lora_only`. */
export function typeText(node: SchemaNode): string {
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

function ofValues({ properties, additionalProperties: values }: SchemaNode): string {
  if (properties !== undefined) return ` with ${Object.keys(properties).join(", ")}`;
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
