/** Generates the functions by which the API names methods, optimizers, losses and tasks. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { taskNames } from "../../src/training/tasks.ts";
import { emitGenerated, generatedNotice, listStems, repository, toIdentifier } from "../generated-files.ts";

/** A folder of records, and the function that makes the API's function of each. */
interface Source {
  readonly folder: string;
  readonly factory: string;
}

const sources: readonly Source[] = [
  { folder: "passes/adapters", factory: "methodFactory" },
  { folder: "passes/optimizers", factory: "optimizerFactory" },
  { folder: "passes/losses", factory: "lossFactory" },
];

interface Entry {
  readonly name: string;
  readonly imports: readonly string[];
  readonly text: string;
}

const entries = [...sources.flatMap(recordEntries), ...taskNames.map(taskEntry)];
requireDistinct(entries.map(({ name }) => name));
const factories = [...new Set([...sources.map(({ factory }) => factory), "taskFactory"])].sort();
const imports = [
  ...entries.flatMap((entry) => entry.imports),
  `import { ${factories.join(", ")} } from "../compile/factories.ts";`,
];
const blocks = [[generatedNotice, ...imports].join("\n"), ...entries.map(({ text }) => text)];
emitGenerated([{ path: "src/generated/methods.ts", text: `${blocks.join("\n\n")}\n` }]);

function recordEntries({ folder, factory }: Source): Entry[] {
  return listStems(folder).map((stem) => {
    const name = toIdentifier(folder, stem);
    return {
      name,
      imports: [`import ${name}Record from "../../${folder}/${stem}.ts";`],
      text: `/** ${purposeOf(`${folder}/${stem}.ts`)} */\nexport const ${name} = ${factory}(${name}Record);`,
    };
  });
}

/** `causal-lm` becomes `causalLM`. */
function taskEntry(task: string): Entry {
  const name = toIdentifier("tasks", task).replace(/Lm$/, "LM");
  return {
    name,
    imports: [],
    text: `/** The task ${task}. */\nexport const ${name} = taskFactory("${task}");`,
  };
}

/** The sentence that the file opens with. */
function purposeOf(path: string): string {
  const text = readFileSync(join(repository, path), "utf8");
  const purpose = /^\/\*\*\s*(.*?)\s*\*\//s.exec(text)?.[1]?.replace(/\s*\n \* ?/g, " ");
  if (purpose === undefined) throw new Error(`${path}: a file opens with a sentence of purpose`);
  return purpose;
}

function requireDistinct(names: readonly string[]): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new Error(`two records would both be "${twice}" in the API: rename one`);
}
