/** `combine`: several adapter folders become one, as PEFT's `add_weighted_adapter` makes it. */
import { type Command, InvalidArgumentError } from "commander";
import { combinationTypes } from "../adapt/combination.ts";
import { type CombineOptions, combineAdapters, type WeightedAdapter } from "../compile/combine.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { plural } from "./numbers.ts";
import { choiceOption, outputOption, wholeNumber } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface Options extends CommonOptions {
  readonly adapter?: readonly [WeightedAdapter, ...WeightedAdapter[]];
  readonly type?: CombineOptions["type"];
  readonly density?: number;
  readonly majoritySignMethod?: CombineOptions["majority_sign_method"];
  readonly svdRank?: number;
  readonly svdClamp?: number;
  readonly seed?: number;
  readonly output?: string;
}

export function combineCommand(terminal: Terminal): Command {
  return defineVerb("combine", {
    description:
      "Makes one adapter folder out of several of one method, each with a weight; no model is needed. cat adds the updates " +
      "exactly, at the sum of the ranks; svd and the types with svd decompose the sum again; linear, ties, dare and " +
      "magnitude_prune work on each factor and need equal ranks. Pruning types need --density.",
    examples: [
      ["combine --adapter a:0.7 --adapter b:0.3 --type cat -o ab", "the weighted sum, exactly"],
      ["combine --adapter a --adapter b --type ties --density 0.5 -o ab", "by majority of signs"],
      ["combine --adapter a --adapter b:-1 --svd-rank 8 -o c", "take the effect of b away"],
    ],
  })
    .option("--adapter <dir[:weight]>", "adapter folder and its weight, 1 unless given (repeat it)", gather)
    .addOption(
      choiceOption(
        "--type <type>",
        `${combinationTypes.join(", ")}; PEFT's default unless given`,
        combinationTypes,
      ),
    )
    .option("--density <share>", "share of elements that pruning leaves, above 0 and at most 1", number)
    .addOption(
      choiceOption(
        "--majority-sign-method <how>",
        "sign of the sum (total, the default) or of most (frequency)",
        ["total", "frequency"],
      ),
    )
    .option(
      "--svd-rank <r>",
      "rank of a decomposed sum; the largest of the adapters unless given",
      wholeNumber(1),
    )
    .option("--svd-clamp <quantile>", "cut the factors of a decomposed sum off at this quantile", number)
    .option("--seed <n>", "seed of random pruning", wholeNumber(0))
    .addOption(outputOption("folder to write", "dir"))
    .action((options: Options) => runCombine(options, terminal));
}

async function runCombine(options: Options, terminal: Terminal): Promise<void> {
  const { adapter, output, json } = options;
  if (adapter === undefined)
    throw usage("which adapters? give each with --adapter DIR or --adapter DIR:WEIGHT");
  if (output === undefined) throw usage("where to? give the folder with -o");
  const made = combineAdapters(adapter, requestOf(options));
  await made.write(output);
  const { method, type, tensors } = made;
  const document = {
    ok: true,
    output,
    method,
    type,
    adapters: adapter.map(({ folder, weight = 1 }) => ({ folder, weight })),
    options: made.options,
    tensors: tensors.size,
  };
  terminal.result(
    json,
    document,
    () =>
      `${output}  ${method} of ${plural(adapter.length, "adapter")} by ${type}, ${plural(tensors.size, "tensor")}`,
  );
}

function requestOf({ type, density, majoritySignMethod, svdRank, svdClamp, seed }: Options): CombineOptions {
  return {
    ...(type === undefined ? {} : { type }),
    ...(density === undefined ? {} : { density }),
    ...(majoritySignMethod === undefined ? {} : { majority_sign_method: majoritySignMethod }),
    ...(svdRank === undefined ? {} : { svd_rank: svdRank }),
    ...(svdClamp === undefined ? {} : { svd_clamp: svdClamp }),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** A folder, with a number behind the last colon as its weight. */
function gather(text: string, before: readonly WeightedAdapter[] | undefined): WeightedAdapter[] {
  const [, folder, weight] = /^(.+):([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)$/i.exec(text) ?? [];
  if (text === "") throw new InvalidArgumentError("a folder, or a folder and a weight: DIR:0.5");
  const given = folder === undefined ? { folder: text } : { folder, weight: Number(weight) };
  return [...(before ?? []), given];
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("a number");
}

function usage(message: string): UsageError {
  return new UsageError(cliErrors.E_USAGE(`peft-compile combine: ${message}`, "peft-compile combine --help"));
}
