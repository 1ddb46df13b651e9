/** Evaluation of negative log likelihoods, summed or averaged. */
import { countElements } from "../../ir/shape.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { foldNumbers, planReduction } from "./reduce.ts";

/** Logarithms of class probabilities along axis 1, in doubles. */
export function logSoftmaxOfClasses(scores: NDArray): NDArray {
  const plan = planReduction(scores.shape, [1]);
  const tops = foldNumbers(scores.numbers, plan, { start: Number.NEGATIVE_INFINITY, step: Math.max });
  const shifted = scores.numbers.map((value, i) => value - (tops[plan.cells[i] ?? 0] ?? 0));
  const sums = foldNumbers(shifted.map(Math.exp), plan, { start: 0, step: (sum, v) => sum + v });
  const data = shifted.map((value, i) => value - Math.log(sums[plan.cells[i] ?? 0] ?? 1));
  return new NDArray(scores.dtype, scores.shape, data);
}

/** -w log p of the labelled class of each sample; ignored samples cost and count nothing. */
export function evaluateLikelihood(
  operands: { readonly logProb: NDArray; readonly labels: NDArray; readonly weights: NDArray | undefined },
  options: { readonly ignore_index: number | undefined; readonly reduction: string },
  exact: boolean,
): NDArray {
  const { logProb, labels, weights } = operands;
  const [, classes = 1] = logProb.shape;
  const inner = countElements(logProb.shape.slice(2));
  const picked = labels.toNumbers();
  const counted = picked.map((label) =>
    label === options.ignore_index ? 0 : (weights?.numbers[label] ?? 1),
  );
  const costs = picked.map((label, sample) => {
    const weight = counted[sample] ?? 0;
    if (label === options.ignore_index) return 0;
    const at = Math.floor(sample / inner) * classes * inner + label * inner + (sample % inner);
    return -weight * (logProb.numbers[at] ?? Number.NaN);
  });
  if (options.reduction === "none") return fromNumbers(logProb.dtype, labels.shape, costs, exact);
  const total = costs.reduce((sum, cost) => sum + cost, 0);
  const size = counted.reduce((sum, weight) => sum + weight, 0);
  return fromNumbers(logProb.dtype, [], [options.reduction === "mean" ? total / size : total], exact);
}
