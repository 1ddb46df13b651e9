/** Metrics of predictions, defined as scikit-learn and SciPy define them. */
import { InternalError } from "../diagnostics/define.ts";

type Numbers = ArrayLike<number>;

/** Share of predictions that are right; NaN without predictions. */
export function accuracy(predicted: Numbers, expected: Numbers): number {
  requireEqualLength(predicted, expected);
  return mean(Array.from(predicted, (label, i) => (label === expected[i] ? 1 : 0)));
}

/** Harmonic mean of precision and recall of one class; 0 where the class is neither predicted nor expected. */
export function f1(predicted: Numbers, expected: Numbers, positive = 1): number {
  requireEqualLength(predicted, expected);
  let both = 0;
  let either = 0;
  for (let i = 0; i < predicted.length; i++) {
    const found = predicted[i] === positive;
    const wanted = expected[i] === positive;
    if (found && wanted) both++;
    either += Number(found) + Number(wanted);
  }
  return either === 0 ? 0 : (2 * both) / either;
}

/** Mean F1 of all classes that are predicted or expected; NaN without predictions. */
export function macroF1(predicted: Numbers, expected: Numbers): number {
  const classes = new Set([...Array.from(predicted), ...Array.from(expected)]);
  return mean(Array.from(classes, (label) => f1(predicted, expected, label)));
}

/**
 * Matthews correlation, for any number of classes (Gorodkin 2004); 0 where all predictions or all expected labels are
 * of one class.
 */
export function matthews(predicted: Numbers, expected: Numbers): number {
  requireEqualLength(predicted, expected);
  const count = predicted.length;
  const predictions = new Map<number, number>();
  const truths = new Map<number, number>();
  let right = 0;
  for (let i = 0; i < count; i++) {
    const [guess = Number.NaN, truth = Number.NaN] = [predicted[i], expected[i]];
    predictions.set(guess, (predictions.get(guess) ?? 0) + 1);
    truths.set(truth, (truths.get(truth) ?? 0) + 1);
    if (guess === truth) right++;
  }
  const dot = (a: Map<number, number>, b: Map<number, number>): number =>
    [...a].reduce((sum, [label, times]) => sum + times * (b.get(label) ?? 0), 0);
  const above = right * count - dot(predictions, truths);
  const below =
    Math.sqrt(count ** 2 - dot(predictions, predictions)) * Math.sqrt(count ** 2 - dot(truths, truths));
  return below === 0 ? 0 : above / below;
}

/** Linear correlation; NaN where either side does not vary. */
export function pearson(predicted: Numbers, expected: Numbers): number {
  requireEqualLength(predicted, expected);
  const a = centred(predicted);
  const b = centred(expected);
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + value * (y[i] ?? 0), 0);
  return dot(a, b) / (Math.sqrt(dot(a, a)) * Math.sqrt(dot(b, b)));
}

/** Correlation of ranks, equal values sharing their mean rank; NaN where either side does not vary. */
export function spearman(predicted: Numbers, expected: Numbers): number {
  return pearson(ranks(predicted), ranks(expected));
}

/** Perplexity of a mean negative log-likelihood in nats. */
export function perplexity(meanLoss: number): number {
  return Math.exp(meanLoss);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function centred(values: Numbers): number[] {
  const list = Array.from(values);
  const middle = mean(list);
  return list.map((value) => value - middle);
}

function ranks(values: Numbers): Float64Array {
  const order = Array.from(values, (value, index) => ({ value, index })).sort((a, b) => a.value - b.value);
  const result = new Float64Array(order.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && order[end]?.value === order[start]?.value) end++;
    // NaN equals nothing, itself included.
    end = Math.max(end, start + 1);
    for (const { index } of order.slice(start, end)) result[index] = (start + end - 1) / 2;
    start = end;
  }
  return result;
}

function requireEqualLength(predicted: Numbers, expected: Numbers): void {
  if (predicted.length === expected.length) return;
  throw new InternalError(`${predicted.length} predictions for ${expected.length} labels`);
}
