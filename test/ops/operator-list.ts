/** Reads `fixtures/onnx/operators.json`: what the onnx package says of every operator. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const version = z.strictObject({
  since: z.int(),
  deprecated: z.boolean().default(false),
  inputs: z.array(z.string()),
  outputs: z.array(z.string()),
  attributes: z.record(z.string(), z.string()),
  types: z.record(z.string(), z.string()),
});
const file = z.object({
  opset: z.int(),
  types: z.record(z.string(), z.string()),
  operators: z.array(
    z.strictObject({ domain: z.string(), name: z.string(), versions: z.array(version).min(1) }),
  ),
});

/** One version of an operator; parameters are `name:type`, with `?` or `...` after the name. */
export interface OperatorVersion {
  readonly since: number;
  readonly deprecated: boolean;
  readonly inputs: readonly FormalParameter[];
  readonly outputs: readonly FormalParameter[];
  /** Kinds by name, with `!` where the attribute is required. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A formal input or output with every type that it may have. */
export interface FormalParameter {
  readonly name: string;
  readonly optional: boolean;
  readonly variadic: boolean;
  readonly types: readonly string[];
}

/** An operator with its versions, ascending. */
export interface OperatorFacts {
  /** "" for ai.onnx, as records say it. */
  readonly domain: string;
  readonly name: string;
  readonly versions: readonly OperatorVersion[];
}

const { types, operators: listed } = file.parse(
  JSON.parse(readFileSync(new URL("../../fixtures/onnx/operators.json", import.meta.url), "utf8")),
);

/** Every operator that ONNX defines. */
export const operators: readonly OperatorFacts[] = listed.map(({ domain, name, versions }) => ({
  domain: domain === "ai.onnx" ? "" : domain,
  name,
  versions: versions.map((each) => ({
    ...each,
    inputs: each.inputs.map((text) => readParameter(text, each.types)),
    outputs: each.outputs.map((text) => readParameter(text, each.types)),
  })),
}));

function readParameter(text: string, variables: Readonly<Record<string, string>>): FormalParameter {
  const [spelling = "", type = ""] = text.split(/:(.*)/s);
  const set = variables[type];
  return {
    name: spelling.replace(/\?$|\.\.\.$/, ""),
    optional: spelling.endsWith("?"),
    variadic: spelling.endsWith("..."),
    types: set === undefined ? [type] : (types[set] ?? "").split(" "),
  };
}

/** Whether a value of one of these types may hold floats that carry a gradient, lists of tensors included. */
export function holdsFloats(parameters: readonly FormalParameter[]): boolean {
  return parameters.some((parameter) =>
    parameter.types.some((type) => /\b(float|double|float16|bfloat16)\b/.test(type)),
  );
}
