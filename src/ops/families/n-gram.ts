/** NGramRepeatBlock of com.microsoft: forbids tokens that would repeat a sequence of some length. */
import { defineOp } from "../define.ts";
import { fromNumbers } from "../ndarray.ts";
import { counts, int } from "../params.ts";

export const NGramRepeatBlock = defineOp({
  type: "NGramRepeatBlock",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["ids", "scores"],
  ranks: { ids: 2, scores: 2 },
  outputs: ["y"],
  attributes: { ngram_size: int(1, counts) },
  infer: ({ in: { scores } }) => [scores.type],
  evaluate: ({ in: { ids, scores }, attrs: { ngram_size: size }, exact }) => {
    const [batch = 0, length = 0] = ids.shape;
    const tokens = ids.toNumbers();
    const width = scores.shape[1] ?? 0;
    const result = Float64Array.from(scores.numbers);
    for (let row = 0; row < batch; row++) {
      const line = tokens.slice(row * length, (row + 1) * length);
      const tail = line.slice(length - size + 1);
      for (let start = 0; start + size <= length; start++) {
        const repeats = tail.every((token, i) => token === line[start + i]);
        if (repeats) result[row * width + (line[start + size - 1] ?? 0)] = Number.NEGATIVE_INFINITY;
      }
    }
    return [fromNumbers(scores.dtype, scores.shape, result, exact)];
  },
  precision: "follow",
  // A score that was forbidden has no influence any more.
  gradient: ({ out: { y }, grad, b }) => ({
    scores: () => b.where(b.equal(y, Number.NEGATIVE_INFINITY), 0, grad.y),
  }),
});
