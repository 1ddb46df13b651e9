/** `new-method NAME`: writes the file of a method and its test, which work as they are, and nothing else. */
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { adapters } from "../../passes/adapters/index.ts";
import { losses } from "../../passes/losses/index.ts";
import { optimizers } from "../../passes/optimizers/index.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { identifierOf } from "./identifier.ts";
import { type MethodPlace, methodText, testText } from "./method-text.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface NewMethodOptions extends CommonOptions {
  readonly out?: string;
}

/** Where a method's two files go. */
interface Target {
  readonly place: MethodPlace;
  readonly method: string;
  readonly test: string;
  /** Commands that come next. */
  readonly next: readonly string[];
}

export function newMethodCommand(terminal: Terminal): Command {
  return defineVerb("new-method", {
    description:
      "Writes one file with a fine-tuning method and one with its test: a working low-rank update to start from, which " +
      "compiles and passes the conformance suite. Inside a checkout of peft-compile the files go to passes/adapters and " +
      "test/adapters, elsewhere to a folder of yours, from which --use loads the method.",
    examples: [
      ["new-method low-rank-gate", "in a checkout of peft-compile"],
      ["new-method low-rank-gate --out methods", "a method of your own, for --use methods/low-rank-gate.ts"],
      ["new-method low-rank-gate --out methods --json", "the same for programs: names of the files"],
    ],
  })
    .argument("<name>", "name of the method: lower-case words with hyphens between them")
    .option("--out <dir>", "folder for both files, where the method is not to be part of the package")
    .action((name: string, options: NewMethodOptions) => runNewMethod(name, options, terminal));
}

async function runNewMethod(
  name: string,
  { out, json }: NewMethodOptions,
  terminal: Terminal,
): Promise<void> {
  if (identifierOf(name) === undefined) throw cliErrors.E_METHOD_NAME(name);
  const taken = [...adapters, ...optimizers, ...losses].find((record) => record.name === name);
  if (taken !== undefined) throw cliErrors.E_METHOD_EXISTS(name, `"${name}": ${taken.summary}`);
  const { place, method, test, next } = out === undefined ? insidePackage(name) : outside(name, out);
  for (const file of [method, test]) if (existsSync(file)) throw cliErrors.E_METHOD_EXISTS(name, file);
  const texts = [await methodText(name, place), await testText(name, place)];
  if (out !== undefined) mkdirSync(out, { recursive: true });
  await writeFileAtomic(method, texts[0] ?? "");
  await writeFileAtomic(test, texts[1] ?? "");
  const files = [method, test];
  terminal.result(json, { ok: true, name, files, next }, () =>
    [...files.map((file) => `wrote ${file}`), ...next.map((command) => `next: ${command}`)].join("\n"),
  );
}

function insidePackage(name: string): Target {
  const folder = resolve(".");
  if (!existsSync("passes/adapters") || !existsSync("src/adapt/define.ts"))
    throw cliErrors.E_METHOD_PLACE(folder);
  const test = `test/adapters/${name}.test.ts`;
  return {
    place: "package",
    method: `passes/adapters/${name}.ts`,
    test,
    next: ["npm run generate", `npx vitest run ${test}`],
  };
}

function outside(name: string, out: string): Target {
  const [method, test] = [join(out, `${name}.ts`), join(out, `${name}.test.ts`)];
  const use = `peft-compile MODEL.onnx --use ${method} --method ${name}`;
  return { place: "outside", method, test, next: [`node --test ${test}`, use] };
}
