/** Checks that imports point only in the direction that the architecture allows; tests are exempt. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { ts } from "ts-morph";
import { repository } from "./generated-files.ts";

const core = ["diagnostics", "formats", "ir", "ops"];
const transforms = ["analysis", "rewrite", "autodiff", "pass", "adapt", "training", "providers"];

/** What the files of each area may import besides their own area: an area's name is its folder under `src/`. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  diagnostics: [],
  formats: ["diagnostics"],
  data: ["diagnostics", "formats"],
  ir: ["diagnostics"],
  ops: ["diagnostics", "formats", "ir"],
  text: ["diagnostics", "ir", "ops"],
  onnx: ["diagnostics", "formats", "ir"],
  artifact: ["diagnostics", "formats", "ir"],
  runtime: ["diagnostics", "formats", "artifact", "data"],
  analysis: [...core, ...transforms],
  rewrite: [...core, ...transforms],
  autodiff: [...core, ...transforms],
  pass: [...core, ...transforms],
  adapt: [...core, ...transforms, "data"],
  training: [...core, ...transforms],
  providers: [...core, ...transforms],
  /** The folder `passes/`. */
  passes: [...core, ...transforms],
  /** Files that `npm run generate` writes. */
  generated: [...core, ...transforms, "passes", "compile"],
  compile: [...core, ...transforms, "passes", "data", "text", "onnx", "artifact", "runtime"],
  conformance: [...core, ...transforms, "passes", "data", "text", "onnx", "artifact", "runtime", "compile"],
  cli: [...core, ...transforms, "passes", "data", "text", "onnx", "artifact", "runtime", "compile"],
  /** Files directly in `src/`: the entry points. */
  top: [
    ...core,
    ...transforms,
    "passes",
    "data",
    "text",
    "onnx",
    "artifact",
    "runtime",
    "compile",
    "cli",
    "generated",
  ],
};

/** Packages that only some areas may import; every area may import the others. */
const restrictedPackages: Readonly<Record<string, readonly string[]>> = {
  "onnxruntime-node": ["runtime"],
  protobufjs: ["onnx"],
  commander: ["top", "cli"],
};

const files = ["src", "passes"].flatMap((folder) => listFiles(join(repository, folder)));
const problems = files.flatMap((file) => checkFile(file));
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
else console.log(`${files.length} files import in the allowed direction`);

function checkFile(path: string): string[] {
  const file = relative(repository, path).split(sep).join("/");
  const area = areaOf(file);
  const areas = allowed[area];
  if (areas === undefined) {
    return [`${file}: folder src/${area}/ has no row in the table of scripts/check-imports.ts`];
  }
  const text = readFileSync(path, "utf8");
  return ts.preProcessFile(text, true, true).importedFiles.flatMap(({ fileName, pos }) => {
    const rule = fileName.startsWith(".")
      ? checkArea(areaOf(posix.join(dirname(file), fileName)), area, areas)
      : checkPackage(fileName, area);
    if (rule === undefined) return [];
    const line = text.slice(0, pos).split("\n").length;
    return [`${file}:${line}: imports "${fileName}", but ${rule}`];
  });
}

function checkArea(target: string, area: string, areas: readonly string[]): string | undefined {
  if (target === area || areas.includes(target)) return undefined;
  return `${area} may import only ${areas.length === 0 ? "its own area" : areas.join(", ")}`;
}

function checkPackage(specifier: string, area: string): string | undefined {
  const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  const owners = restrictedPackages[name];
  if (owners === undefined || owners.includes(area)) return undefined;
  return `only ${owners.join(", ")} may import ${name}`;
}

/** Area of a file by its path from the repository's root; a path outside `src/` and `passes/` is its own area. */
function areaOf(file: string): string {
  const [root, folder, ...rest] = file.split("/");
  if (root === "passes") return "passes";
  if (root !== "src" || folder === undefined) return file;
  return rest.length === 0 ? "top" : folder;
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
