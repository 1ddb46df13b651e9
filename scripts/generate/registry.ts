/** Generates the registries: the lists of passes, adapters, losses, optimizers and operator families. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  emitGenerated,
  type GeneratedFile,
  generatedNotice,
  listStems,
  repository,
  toIdentifier,
} from "../generated-files.ts";

/** A folder whose files are plug-ins, and how its `index.ts` lists them. */
interface Registry {
  readonly folder: string;
  /** Name of the exported array. */
  readonly array: string;
  /** What each file contributes: its default export, or all of its exports as a namespace. */
  readonly entry: "default" | "namespace";
}

const registries: readonly Registry[] = [
  { folder: "passes", array: "passes", entry: "default" },
  { folder: "passes/adapters", array: "adapters", entry: "default" },
  { folder: "passes/losses", array: "losses", entry: "default" },
  { folder: "passes/optimizers", array: "optimizers", entry: "default" },
  { folder: "src/ops/families", array: "families", entry: "namespace" },
];

emitGenerated(registries.map((registry) => generateRegistry(registry)));

/**
 * The `index.ts` of one registry; a folder that is missing or empty gives an empty array.
 *
 * @throws Error when a file name is not kebab-case or a file lacks the default export that its folder asks for.
 */
function generateRegistry({ folder, array, entry }: Registry): GeneratedFile {
  const plugins = listStems(folder).map((stem) => ({ stem, identifier: identify(folder, stem, array) }));
  if (entry === "default") for (const { stem } of plugins) requireDefaultExport(`${folder}/${stem}.ts`);
  const imports = plugins.map(
    ({ stem, identifier }) =>
      `import ${entry === "namespace" ? "* as " : ""}${identifier} from "./${stem}.ts";`,
  );
  const items = plugins.map(({ identifier }) => `  ${identifier},`);
  const list = items.length === 0 ? "[]" : ["[", ...items, "]"].join("\n");
  const blocks = [
    [generatedNotice, ...imports].join("\n"),
    `/** Every file of ${folder}/, by file name. */\nexport const ${array} = ${list} as const;`,
  ];
  return { path: `${folder}/index.ts`, text: `${blocks.join("\n\n")}\n` };
}

function identify(folder: string, stem: string, array: string): string {
  const identifier = toIdentifier(folder, stem);
  if (identifier !== array) return identifier;
  throw new Error(`${folder}/${stem}.ts: "${identifier}" is the name of the list itself, so rename the file`);
}

function requireDefaultExport(path: string): void {
  if (/^export default |\bas default\b/m.test(readFileSync(join(repository, path), "utf8"))) return;
  throw new Error(`${path}: a file of this folder must default-export its plug-in record`);
}
