/** What every verb has alike: `--json`, `--verbose`, `--help` with examples. */
import { Command } from "commander";

/** A command line that shows what a verb is for, and what it does. */
type Example = readonly [command: string, meaning: string];

export interface VerbText {
  readonly description: string;
  /** Without the name of the program. */
  readonly examples: readonly Example[];
}

/** Options that every verb has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Starts the command of a verb; arguments, options and the action are for its file to add. */
export function defineVerb(name: string, { description, examples }: VerbText): Command {
  return new Command(name)
    .description(description)
    .addHelpText("afterAll", () => `\n${formatExamples(examples)}`);
}

/** Adds the options that every verb has, last in the help. */
export function withCommonOptions(command: Command): Command {
  return command
    .optionsGroup("Common options:")
    .option("--json", "print one JSON document, and nothing else, to standard output")
    .option("--verbose", "show where in the code an error comes from")
    .helpOption("-h, --help", "show this help");
}

function formatExamples(examples: readonly Example[]): string {
  return [
    "Examples:",
    ...examples.flatMap(([command, meaning]) => [`  # ${meaning}`, `  peft-compile ${command}`]),
  ].join("\n");
}
