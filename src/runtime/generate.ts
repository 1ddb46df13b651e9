/** Text from a causal language model: the evaluation graph, run once per token. */
import { castField, type Field } from "../data/batch.ts";
import { Random } from "../data/random.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import type { Trainer } from "./trainer.ts";

export interface GenerateOptions {
  readonly prompt: string;
  readonly maxNewTokens: number;
  /** 0 always takes the likeliest token. */
  readonly temperature?: number;
  /** Draw among so many of the likeliest. */
  readonly topK?: number;
  /** Draw among the likeliest that together reach this probability. */
  readonly topP?: number;
  readonly seed?: number;
  /** Longest sequence that the model can read. */
  readonly maxLength?: number | undefined;
  /** Called with the text so far whenever it has grown. */
  readonly onText?: (text: string) => void;
}

/** Continues a prompt until the end token, the number of tokens asked for, or the model's length. */
export async function generateText(
  trainer: Trainer,
  tokenizer: Tokenizer,
  options: GenerateOptions,
): Promise<string> {
  const { task } = trainer.artifact.manifest;
  if (task.name !== "causal-lm") throw runtimeErrors.E_GENERATE_TASK(task.name);
  const ids = [...tokenizer.encode(options.prompt).ids];
  const random = new Random(options.seed ?? 0);
  const limit = options.maxLength ?? task.maxPositions ?? Number.POSITIVE_INFINITY;
  for (let count = 0; count < options.maxNewTokens && ids.length < limit; count++) {
    const { logits } = await trainer.evaluate(sequenceBatch(trainer, ids));
    if (logits === undefined) throw runtimeErrors.E_GENERATE_TASK("a graph without logits");
    const next = chooseToken(lastRow(logits), options, random);
    if (next === tokenizer.eosId) break;
    ids.push(next);
    options.onText?.(tokenizer.decode(ids));
  }
  return tokenizer.decode(ids);
}

/** The graph's fields for one sequence: ids, a mask of ones, positions, and labels that nobody reads. */
function sequenceBatch(trainer: Trainer, ids: readonly number[]): Record<string, Field> {
  const fields: Record<string, Field> = {};
  for (const { role, field, name } of trainer.artifact.graph("eval").inputs) {
    if (role !== "batch" && role !== "label") continue;
    const values = /mask/.test(name)
      ? ids.map(() => 1)
      : /position/.test(name)
        ? ids.map((_, i) => i)
        : /type/.test(name)
          ? ids.map(() => 0)
          : ids;
    fields[field ?? name] = {
      dtype: "int64",
      shape: [1, ids.length],
      data: BigInt64Array.from(values, BigInt),
    };
  }
  return fields;
}

/** Scores of the last position, of whatever float type the graph gives. */
function lastRow({ dtype, data, shape }: Field): Float64Array {
  const width = shape.at(-1) ?? 0;
  const last = castField("logits", { dtype, shape: [width], data: data.slice(-width) }, "float64");
  return Float64Array.from(last.data, Number);
}

function chooseToken(
  scores: Float64Array,
  { temperature = 0, topK, topP }: GenerateOptions,
  random: Random,
): number {
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  const [best = 0] = order;
  if (temperature <= 0) return best;
  const kept = order.slice(0, topK ?? order.length);
  const weights = kept.map((id) => Math.exp(((scores[id] ?? 0) - (scores[best] ?? 0)) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const nucleus = nucleusSize(weights, total * (topP ?? 1));
  let left = random.uniform() * weights.slice(0, nucleus).reduce((sum, weight) => sum + weight, 0);
  for (let i = 0; i < nucleus; i++) {
    left -= weights[i] ?? 0;
    if (left < 0) return kept[i] ?? best;
  }
  return kept[nucleus - 1] ?? best;
}

/** How many of the likeliest are needed to reach a share of all. */
function nucleusSize(weights: readonly number[], wanted: number): number {
  let sum = 0;
  for (const [i, weight] of weights.entries()) {
    sum += weight;
    if (sum >= wanted) return i + 1;
  }
  return weights.length;
}
