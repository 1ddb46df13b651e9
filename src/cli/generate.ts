/** `generate`: text from a causal language model, before or after training. */
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { Tokenizer } from "../data/tokenizer.ts";
import { generateText } from "../runtime/generate.ts";
import type { RuntimeProvider } from "../runtime/session.ts";
import { Trainer } from "../runtime/trainer.ts";
import { positiveNumber, providerOption, threadsOption, wholeNumber } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { checkpointOption } from "./trained.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface GenerateOptions extends CommonOptions {
  readonly prompt: string;
  readonly maxNewTokens: number;
  readonly maxLength?: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly seed: number;
  readonly tokenizer?: string;
  readonly checkpoint?: string;
  readonly untrained?: boolean;
  readonly threads?: number;
  readonly provider?: RuntimeProvider;
}

export function generateCommand(terminal: Terminal): Command {
  return defineVerb("generate", {
    description:
      "Continues a text with a causal language model. Without a temperature the likeliest token is taken each time.",
    examples: [
      ['generate model.peft --prompt "Once upon a time"', "after training"],
      ['generate model.peft --prompt "Once upon a time" --untrained', "before it"],
      [
        "generate model.peft --prompt ROMEO: --temperature 0.8 --seed 1",
        "drawn at random, the same each time",
      ],
    ],
  })
    .argument("<artifact>", "folder that `compile` wrote")
    .requiredOption("--prompt <text>", "text to continue")
    .option("--max-new-tokens <n>", "most tokens to add", wholeNumber(1), 64)
    .option("--max-length <n>", "longest sequence that the model reads", wholeNumber(1))
    .option("--temperature <x>", "0 takes the likeliest token", numberFromZero, 0)
    .option("--top-k <n>", "draw among so many of the likeliest", wholeNumber(1))
    .option("--top-p <x>", "draw among the likeliest that reach this probability", positiveNumber)
    .option("--seed <n>", "seed of the draws", wholeNumber(0), 0)
    .option("--tokenizer <file>", "tokenizer.json; that beside the model unless given")
    .option("--untrained", "the model as it was before training")
    .addOption(checkpointOption())
    .addOption(threadsOption())
    .addOption(providerOption())
    .action(async (folder: string, options: GenerateOptions) => {
      const { checkpoint, threads, provider, untrained = false } = options;
      const from = untrained
        ? { checkpoint: false as const }
        : checkpoint === undefined
          ? {}
          : { checkpoint };
      const trainer = await Trainer.open(folder, { threads, provider, ...from });
      try {
        const tokenizer = Tokenizer.open(
          options.tokenizer ?? join(trainer.artifact.weightsFolder, "tokenizer.json"),
        );
        const { prompt, maxNewTokens, maxLength, temperature, topK, topP, seed } = options;
        const text = await generateText(trainer, tokenizer, {
          prompt,
          maxNewTokens,
          maxLength,
          temperature,
          seed,
          ...(topK === undefined ? {} : { topK }),
          ...(topP === undefined ? {} : { topP }),
          onText: (soFar) => terminal.progress(soFar.slice(-70).replaceAll("\n", " ")),
        });
        terminal.result(options.json, { ok: true, prompt, text, step: trainer.updates }, () => text);
      } finally {
        await trainer.close();
      }
    });
}

function numberFromZero(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("a number >= 0");
}
