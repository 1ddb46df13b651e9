/** The text of a new method and of its test, put together and printed by ts-morph, which is loaded for this alone. */
import type { ImportDeclarationStructure, OptionalKind } from "ts-morph";
import { cliErrors } from "../diagnostics/cli.ts";
import { identifierOf } from "./identifier.ts";

/** Inside the package imports go to its files and tests are vitest's; outside to the package, and to Node's own. */
export type MethodPlace = "package" | "outside";

type Imports = readonly OptionalKind<ImportDeclarationStructure>[];

const methodImports: Readonly<Record<MethodPlace, Imports>> = {
  package: [
    { moduleSpecifier: "zod", namedImports: ["z"] },
    { moduleSpecifier: "../../src/adapt/define.ts", namedImports: ["defineAdapter"] },
    { moduleSpecifier: "../../src/adapt/initializers.ts", namedImports: ["filled", "kaimingUniform"] },
    { moduleSpecifier: "../../src/adapt/targets.ts", namedImports: ["targetOptions"] },
  ],
  outside: [
    {
      moduleSpecifier: "peft-compile/extend",
      namedImports: ["defineAdapter", "filled", "kaimingUniform", "targetOptions"],
    },
    { moduleSpecifier: "zod", namedImports: ["z"] },
  ],
};

const options = `z.strictObject({
  r: z.int().min(1).default(8).describe("rank of the update"),
  scale: z.number().default(1).describe("factor of the update"),
  ...targetOptions,
})`;

/** The record: y = W x + b + scale B A x. */
function record(name: string): string {
  return `defineAdapter({
  name: "${name}",
  peftType: "${name.replaceAll("-", "_").toUpperCase()}",
  summary: "Adds a trainable low-rank product to frozen linear weights",
  formula: "y = W x + b + scale B A x",
  paper: "not published",
  options,
  peftConfig: {},
  sites: ["linear"],
  identityAtStart: () => true,
  parameters: ({ inFeatures, outFeatures }, { r }) => ({
    A: { key: "${name.replaceAll("-", "_")}_A", shape: [r, inFeatures], init: kaimingUniform() },
    B: { key: "${name.replaceAll("-", "_")}_B", shape: [outFeatures, r], init: filled(0) },
  }),
  build: ({ x, y, params: { A, B }, options: { scale }, b }) => {
    const inner = b.matmul(x, b.transpose(A, [1, 0]));
    return b.add(y, b.mul(b.matmul(inner, b.transpose(B, [1, 0])), scale));
  },
  merge: ({ weight, params: { A, B }, options: { scale }, b }) => ({
    weight: b.add(weight, b.mul(b.matmul(B, A), scale)),
  }),
})`;
}

/** The file of a method that works as it is. */
export function methodText(name: string, place: MethodPlace): Promise<string> {
  const purpose = `${name}: a low-rank update of frozen linear weights, to be changed into what the method is.`;
  return print(purpose, methodImports[place], [
    `const options = ${options};`,
    `export default ${record(name)};`,
  ]);
}

/** Its test: all that holds of methods, by one call. */
export function testText(name: string, place: MethodPlace): Promise<string> {
  const method = identifierOf(name) ?? "method";
  const inPackage = place === "package";
  const imports: Imports = inPackage
    ? [
        { moduleSpecifier: "vitest", namedImports: ["expect", "it"] },
        { moduleSpecifier: `../../passes/adapters/${name}.ts`, defaultImport: method },
        { moduleSpecifier: "../../src/conformance/suite.ts", namedImports: ["checkMethod"] },
      ]
    : [
        { moduleSpecifier: "node:assert/strict", defaultImport: "assert" },
        { moduleSpecifier: "node:test", namedImports: ["it"] },
        { moduleSpecifier: "peft-compile/conformance", namedImports: ["checkMethod"] },
        { moduleSpecifier: `./${name}.ts`, defaultImport: method },
      ];
  const claim = inPackage ? "expect(passed).toBeGreaterThan(0);" : "assert.ok(passed > 0);";
  const body = `it("holds what methods hold", async () => {
  const { passed } = await checkMethod(${method});
  ${claim}
});`;
  const purpose = `${name}: bounds, gradients, merging, folders, precisions and what else holds of every method.`;
  return print(purpose, imports, [body]);
}

type Printer = typeof import("ts-morph");

/** A file of a purpose, imports, and statements with empty lines between them. */
async function print(purpose: string, imports: Imports, statements: readonly string[]): Promise<string> {
  const { Project, QuoteKind } = await loadPrinter();
  const manipulationSettings = { quoteKind: QuoteKind.Double };
  const project = new Project({ useInMemoryFileSystem: true, manipulationSettings });
  const file = project.createSourceFile("method.ts", `/** ${purpose} */\n`);
  file.addImportDeclarations(imports);
  for (const statement of statements) file.addStatements((writer) => writer.newLine().write(statement));
  return `${file.getFullText().trimEnd()}\n`;
}

/** @throws DiagnosticError `E_PRINTER_MISSING`. */
async function loadPrinter(): Promise<Printer> {
  try {
    return await import("ts-morph");
  } catch (error) {
    throw cliErrors.E_PRINTER_MISSING(error instanceof Error ? error.message : String(error));
  }
}
