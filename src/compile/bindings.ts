/** Typed bindings of an artifact: its batch fields with element types and ranks, as a small module. */
import type { GraphManifest, Manifest } from "../artifact/manifest.ts";

/** A generated file. */
export interface BindingFile {
  readonly name: string;
  readonly text: string;
}

const arrayTypes: Readonly<Record<string, string>> = {
  float32: "Float32Array",
  float64: "Float64Array",
  float16: "Uint16Array",
  int64: "BigInt64Array",
  int32: "Int32Array",
  uint8: "Uint8Array",
  int8: "Int8Array",
  bool: "Uint8Array",
};

/** `index.d.ts` and `index.js`: fields that a batch has, and where the artifact lies. */
export function bindingFiles(manifest: Manifest): BindingFile[] {
  const fields = fieldsOf(manifest.graphs.train);
  const declarations = fields.map(
    ({ name, dtype, shape }) =>
      `  /** ${dtype} [${shape.join(", ")}] */\n  readonly ${JSON.stringify(name)}: Field<${arrayTypes[dtype] ?? "Uint8Array"}>;`,
  );
  const types = [
    `// Bindings of ${manifest.source.model}, adapted by ${manifest.method.name} for ${manifest.task.name}. Generated; do not edit.`,
    "/** Elements in row-major order, with the sizes of all axes. */",
    "export interface Field<A> {\n  readonly data: A;\n  readonly dims: readonly number[];\n}",
    `/** What one training step reads. */\nexport interface Batch {\n${declarations.join("\n")}\n}`,
    "/** Folder of the artifact. */\nexport declare const folder: string;",
    "/** Names of the batch fields. */\nexport declare const fields: readonly (keyof Batch)[];",
  ].join("\n\n");
  const names = JSON.stringify(fields.map(({ name }) => name));
  const code = [
    "// Generated; do not edit.",
    'import { fileURLToPath } from "node:url";',
    "",
    'export const folder = fileURLToPath(new URL(".", import.meta.url));',
    `export const fields = ${names};`,
  ].join("\n");
  return [
    { name: "index.d.ts", text: `${types}\n` },
    { name: "index.js", text: `${code}\n` },
  ];
}

function fieldsOf(
  graph: GraphManifest,
): { name: string; dtype: string; shape: readonly (number | string)[] }[] {
  return graph.inputs
    .filter(({ role }) => role === "batch" || role === "label")
    .map(({ field, name, dtype, shape }) => ({ name: field ?? name, dtype, shape }));
}
