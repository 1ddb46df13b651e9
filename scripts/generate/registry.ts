/** Generates the registries: the lists of passes, adapters, losses, optimizers and operator families. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { emitGenerated, type GeneratedFile, generatedNotice, repository } from "../generated-files.ts";

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

/** Reserved words of ECMAScript modules that could be file names. */
const reservedWords = new Set(
  (
    "await break case catch class const continue debugger default delete do else enum export extends false " +
    "finally for function if implements import in instanceof interface let new null package private protected " +
    "public return static super switch this throw true try typeof var void while with yield"
  ).split(" "),
);

emitGenerated(registries.map((registry) => generateRegistry(registry)));

/**
 * The `index.ts` of one registry; a folder that is missing or empty gives an empty array.
 *
 * @throws Error when a file name is not kebab-case or a file lacks the default export that its folder asks for.
 */
function generateRegistry({ folder, array, entry }: Registry): GeneratedFile {
  const plugins = listStems(folder).map((stem) => ({ stem, identifier: toIdentifier(folder, stem, array) }));
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

function listStems(folder: string): string[] {
  const path = join(repository, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((file) => file.isFile() && file.name.endsWith(".ts") && file.name !== "index.ts")
    .map((file) => file.name.slice(0, -".ts".length))
    .sort();
}

/** `layer-norm` becomes `layerNorm`; a digit that follows a hyphen joins the word before. */
function toIdentifier(folder: string, stem: string, array: string): string {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(stem)) {
    throw new Error(`${folder}/${stem}.ts: name the file in kebab-case, such as "layer-norm.ts"`);
  }
  const identifier = stem.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  if (identifier === array || reservedWords.has(identifier)) {
    throw new Error(`${folder}/${stem}.ts: "${identifier}" cannot name an import, so rename the file`);
  }
  return identifier;
}

function requireDefaultExport(path: string): void {
  if (/^export default |\bas default\b/m.test(readFileSync(join(repository, path), "utf8"))) return;
  throw new Error(`${path}: a file of this folder must default-export its plug-in record`);
}
