/** Finds inputs and outputs of a graph by what the manifest says they are for, never by name. */
import type { GraphManifest, Manifest } from "../artifact/manifest.ts";
import type { Field, FieldRequest } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";

/** Name of the output with a role, and of a kind where the role has kinds. */
export function outputNamed(graph: GraphManifest, role: string, metric?: string): string {
  const output = graph.outputs.find(
    (port) => port.role === role && (metric === undefined || port.metric === metric),
  );
  if (output === undefined) throw new InternalError(`graph ${graph.file} has no output ${metric ?? role}`);
  return output.name;
}

/** A scalar output; of a run of several steps, that of one of them. */
export function scalarOf(outputs: Readonly<Record<string, Field>>, name: string, index = 0): number {
  return Number(outputs[name]?.data[index] ?? Number.NaN);
}

/** Fields that the graphs of an artifact read, with their types. */
export function wantedFields(manifest: Manifest): FieldRequest[] {
  return manifest.graphs.train.inputs.flatMap(({ role, field, name, dtype, below, shape }) => {
    if (role !== "batch" && role !== "label") return [];
    const request = { name: field ?? name, dtype: fieldType(name, dtype) };
    return [below === 1 && shape.length === 1 ? { ...request, zeros: true } : request];
  });
}

/** The type of a field. @throws DiagnosticError `E_FEED` for types that batches do not have. */
export function fieldType(name: string, dtype: string): FieldRequest["dtype"] {
  const known = ["float32", "float64", "float16", "int64", "int32", "uint8", "int8", "bool"] as const;
  const found = known.find((type) => type === dtype);
  if (found === undefined) throw runtimeErrors.E_FEED(name, dtype, "a batch field");
  return found;
}
