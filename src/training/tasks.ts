/** Tasks: which output is judged, by which loss, and what is trained whole beside the adapter. */
import type { Site } from "../analysis/sites.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";

export const taskNames = [
  "causal-lm",
  "seq-cls",
  "token-cls",
  "multi-label",
  "regression",
  "seq2seq-lm",
  "image-cls",
  "feature",
] as const;

export type TaskName = (typeof taskNames)[number];

/** PEFT's `task_type` for the tasks that it knows. */
export const peftTaskTypes: Readonly<Partial<Record<TaskName, string>>> = {
  "causal-lm": "CAUSAL_LM",
  "seq-cls": "SEQ_CLS",
  "multi-label": "SEQ_CLS",
  regression: "SEQ_CLS",
  "token-cls": "TOKEN_CLS",
  "seq2seq-lm": "SEQ_2_SEQ_LM",
  feature: "FEATURE_EXTRACTION",
};

/** Loss and loss options of a task, as `--loss` would say them. */
export interface TaskLoss {
  readonly loss: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Name of a task and how it was come to. */
export interface TaskChoice {
  readonly task: TaskName;
  /** Why `auto` chose it; undefined where the user did. */
  readonly reason?: string;
}

/** Tasks whose head PEFT trains and saves with the adapter. */
export const tasksWithHead: ReadonlySet<TaskName> = new Set([
  "seq-cls",
  "token-cls",
  "multi-label",
  "regression",
]);

/** Names that PEFT gives to heads. */
export const headNames: readonly string[] = ["classifier", "score"];

/** Loss of each task, given the number of columns of its output. */
export function taskLoss(task: TaskName, columns: number | undefined): TaskLoss {
  switch (task) {
    case "causal-lm":
      return { loss: "cross-entropy", options: { shift: true } };
    case "seq-cls":
    case "token-cls":
    case "seq2seq-lm":
    case "image-cls":
      return { loss: "cross-entropy", options: {} };
    case "multi-label":
      return { loss: "bce", options: {} };
    case "regression":
      return { loss: "mse", options: { squeeze: columns === 1 } };
    case "feature":
      return { loss: "mse", options: {} };
  }
}

/** Float outputs that a loss can judge. */
export function floatOutputs(graph: Graph): Value[] {
  return graph.outputs.filter(
    (output) => output.tensorType !== undefined && isFloat(output.tensorType.dtype),
  );
}

/** The output that holds the scores: `logits` by name, else the first float output. */
export function logitsOutput(graph: Graph): Value | undefined {
  const outputs = floatOutputs(graph);
  return outputs.find((output) => output.name === "logits") ?? outputs[0];
}

/** An output that is a loss already: a float scalar with `loss` in its name. */
export function lossOutput(graph: Graph): Value | undefined {
  return floatOutputs(graph).find((output) => {
    const shape = output.tensorType?.shape;
    return shape?.every((dim) => dim === 1) && /loss/i.test(output.name);
  });
}

/** Guesses the task from the shapes and names of inputs and outputs; `feature` where nothing else fits. */
export function inferTask(graph: Graph, sites: readonly Site[]): TaskChoice {
  const output = logitsOutput(graph);
  const shape = output?.tensorType?.shape;
  const columns = shape?.at(-1);
  const names = new Set(graph.inputs.map((input) => input.name));
  if (output === undefined || shape === undefined)
    return { task: "feature", reason: "the output has no known rank" };
  const vocabularies = new Set(sites.flatMap((site) => (site.kind === "embedding" ? [site.rows] : [])));
  const isLogits =
    /logit|score|prob|pred/i.test(output.name) || !/hidden|embed|feature|pool/i.test(output.name);
  if (names.has("decoder_input_ids") && shape.length === 3) {
    return { task: "seq2seq-lm", reason: "it reads decoder_input_ids and yields scores by position" };
  }
  if (shape.length === 3 && typeof columns === "number" && vocabularies.has(columns)) {
    return {
      task: "causal-lm",
      reason: `its output has ${columns} columns, as many as the token table has rows`,
    };
  }
  if (shape.length === 3 && isLogits && typeof columns === "number" && names.has("input_ids")) {
    return { task: "token-cls", reason: `it yields ${columns} scores by position` };
  }
  if (shape.length === 2 && isLogits && typeof columns === "number") {
    const readsImages = graph.inputs.some((input) => input.tensorType?.shape?.length === 4);
    if (readsImages) return { task: "image-cls", reason: `it reads images and yields ${columns} scores` };
    if (columns === 1) return { task: "regression", reason: "it yields one number a row" };
    return { task: "seq-cls", reason: `it yields ${columns} scores a row` };
  }
  return { task: "feature", reason: `output "${output.name}" is none of the known forms of scores` };
}
