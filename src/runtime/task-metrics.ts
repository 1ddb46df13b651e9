/** What an evaluation says beside the loss, by task. */
import { castField, type Field } from "../data/batch.ts";
import { accuracy, f1, macroF1, matthews, pearson, perplexity, spearman } from "../data/metrics.ts";

/** Collects predictions and labels over the batches of an evaluation. */
export class TaskMetrics {
  readonly #task: string;
  readonly #predicted: number[] = [];
  readonly #expected: number[] = [];
  #loss = 0;
  #count = 0;

  constructor(task: string) {
    this.#task = task;
  }

  /** Whether the task has metrics beside those that follow from the loss. */
  get readsLogits(): boolean {
    return this.#task !== "causal-lm" && this.#task !== "seq2seq-lm" && this.#task !== "feature";
  }

  /** Adds one batch: the mean loss over `count` positions, and what the metrics of the task compare. */
  add(loss: number, count: number, logits: Field | undefined, labels: Field | undefined): void {
    // The mean over no positions is no number in some losses.
    if (count > 0) this.#loss += loss * count;
    this.#count += count;
    if (!this.readsLogits || logits === undefined || labels === undefined) return;
    const scores = castField("logits", logits, "float64");
    const wanted = castField("labels", labels, "float64");
    if (this.#task === "regression") this.#addNumbers(scores, wanted);
    else if (this.#task === "multi-label") this.#addSigns(scores, wanted);
    else this.#addClasses(scores, wanted);
  }

  /** Name and value of every metric of the task; the loss is the mean over all positions. */
  result(): Record<string, number> {
    const loss = this.#loss / Math.max(1, this.#count);
    const [predicted, expected] = [this.#predicted, this.#expected];
    switch (this.#task) {
      case "causal-lm":
      case "seq2seq-lm":
        return { loss, perplexity: perplexity(loss) };
      case "regression":
        return { loss, pearson: pearson(predicted, expected), spearman: spearman(predicted, expected) };
      case "feature":
        return { loss };
      default: {
        const binary = expected.every((label) => label === 0 || label === 1);
        const scores = {
          loss,
          accuracy: accuracy(predicted, expected),
          matthews: matthews(predicted, expected),
        };
        return { ...scores, f1: binary ? f1(predicted, expected) : macroF1(predicted, expected) };
      }
    }
  }

  #addNumbers(logits: Field, labels: Field): void {
    for (const value of logits.data) this.#predicted.push(Number(value));
    for (const value of labels.data) this.#expected.push(Number(value));
  }

  #addSigns(logits: Field, labels: Field): void {
    for (const value of logits.data) this.#predicted.push(Number(value) > 0 ? 1 : 0);
    for (const value of labels.data) this.#expected.push(Number(value));
  }

  /** The class with the highest score at every position that has a label. */
  #addClasses({ data, shape }: Field, labels: Field): void {
    const classes = shape.at(-1) ?? 1;
    labels.data.forEach((label: number | bigint, position: number) => {
      const expected = Number(label);
      if (expected < 0) return;
      let best = 0;
      for (let c = 1; c < classes; c++) {
        if (Number(data[position * classes + c]) > Number(data[position * classes + best])) best = c;
      }
      this.#predicted.push(best);
      this.#expected.push(expected);
    });
  }
}
