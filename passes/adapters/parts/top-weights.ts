/** Logits of a choice in short: which are the largest, and the softmax of these, as VB-LoRA's folders may hold them. */
import { Tensor } from "../../../src/ir/tensor.ts";
import { fromNumbers, fromTensor, toTensor } from "../../../src/ops/ndarray.ts";

/** What follows the logits' key: the places of the largest ones, [..., k], and all but the last of their weights, [..., k - 1]. */
const suffixes = { indices: "_topk_indices", weights: "_topk_weights" } as const;

/** The logit of what was not among the largest: far below all others, and finite, so that arithmetic goes on with it. */
const never = -1e30;

/** The smallest weight that has a logarithm here: rounding may leave 0, or less, for the last one. */
const smallestWeight = 2 ** -126;

/** Tensors of a folder with logits of `keys` (to their keys there) in short. */
export function shortened(
  tensors: ReadonlyMap<string, Tensor>,
  keys: ReadonlyMap<string, string>,
  k: number,
): Map<string, Tensor> {
  const result = new Map(tensors);
  for (const [key, saved] of keys) {
    const logits = tensors.get(key);
    if (logits === undefined) continue;
    const { dims } = logits;
    const all = dims.at(-1) ?? 1;
    const front = dims.slice(0, -1);
    const make = (part: "indices" | "weights"): Float64Array => largest(logits, k)[part];
    const dtype = all < 2 ** 8 ? "uint8" : all < 2 ** 15 ? "int16" : "int32";
    for (const [suffix, type, width, part] of [
      [suffixes.indices, dtype, k, "indices"],
      [suffixes.weights, "float32", k - 1, "weights"],
    ] as const) {
      const shape = [...front, width];
      const compute = (): Uint8Array => toTensor(fromNumbers(type, shape, make(part))).bytes();
      result.set(`${saved}${suffix}`, new Tensor(type, shape, { kind: "lazy", compute }));
    }
  }
  return result;
}

/** Places of the largest logits of each row, largest first and the first of equals, and all but the last of their weights. */
function largest(logits: Tensor, k: number): Record<"indices" | "weights", Float64Array> {
  const values = fromTensor(logits).numbers;
  const all = logits.dims.at(-1) ?? 1;
  const rows = values.length / all;
  const indices = new Float64Array(rows * k);
  const weights = new Float64Array(rows * (k - 1));
  for (let row = 0; row < rows; row++) {
    const at = (i: number): number => values[row * all + i] ?? 0;
    const top = Array.from({ length: all }, (_, i) => i)
      .sort((i, j) => at(j) - at(i))
      .slice(0, k);
    indices.set(top, row * k);
    const powers = top.map((i) => Math.exp(at(i) - at(top[0] ?? 0)));
    const total = powers.reduce((sum, power) => sum + power, 0);
    weights.set(
      powers.slice(0, -1).map((power) => power / total),
      row * (k - 1),
    );
  }
  return { indices, weights };
}

/** The reverse: logits of `all` choices with the same largest ones and the same weights. Logits that are there stay. */
export function lengthened(
  tensors: ReadonlyMap<string, Tensor>,
  keyOfLogits: (saved: string) => string,
  all: number,
): Map<string, Tensor> {
  const result = new Map(tensors);
  for (const [key, indices] of tensors) {
    if (!key.endsWith(suffixes.indices)) continue;
    const saved = key.slice(0, -suffixes.indices.length);
    const weights = tensors.get(`${saved}${suffixes.weights}`);
    const logits = keyOfLogits(saved);
    if (weights === undefined || tensors.has(logits)) continue;
    const shape = [...indices.dims.slice(0, -1), all];
    const compute = (): Uint8Array =>
      toTensor(fromNumbers("float32", shape, logitsOf(indices, weights, all))).bytes();
    result.set(logits, new Tensor("float32", shape, { kind: "lazy", compute }));
  }
  return result;
}

function logitsOf(indices: Tensor, weights: Tensor, all: number): Float64Array {
  const places = fromTensor(indices).toNumbers();
  const known = fromTensor(weights).numbers;
  const k = indices.dims.at(-1) ?? 1;
  const rows = places.length / k;
  const logits = new Float64Array(rows * all).fill(never);
  for (let row = 0; row < rows; row++) {
    const given = Array.from(known.subarray(row * (k - 1), (row + 1) * (k - 1)));
    const last = given.reduce((rest, weight) => rest - weight, 1);
    for (const [i, weight] of [...given, last].entries())
      logits[row * all + (places[row * k + i] ?? 0)] = Math.log(Math.max(weight, smallestWeight));
  }
  return logits;
}
