/** Next-token loss of a causal model that also judges the virtual tokens of an example before the text. */
import { z } from "zod";
import { float32Tensor } from "../../src/ir/constant.ts";
import { shapeOf } from "../../src/ops/facts.ts";
import { defineLoss } from "../../src/training/define-loss.ts";

export default defineLoss({
  name: "in-context",
  summary: "Mean next-token loss, with labels and weights for virtual tokens",
  options: z.strictObject({
    labels: z.string().default("labels").describe("batch field with token ids"),
    prefix_labels: z
      .array(z.int())
      .default([])
      .describe("labels of the virtual tokens, -100 where none counts"),
    prefix_weights: z.array(z.number()).default([]).describe("factor of each virtual token's loss"),
  }),
  build: ({ logits, label, b, options: o }) => {
    const count = o.prefix_labels.length;
    const end = Number.MAX_SAFE_INTEGER;
    const padded = label(o.labels, "int64", shapeOf(logits).slice(0, -1), -100);
    const own = b.slice(padded, { starts: [count], ends: [end], axes: [1] });
    const rows = b.concat([b.unsqueeze(b.dim(padded, 0), [0]), b.ints([count])], 0);
    const all = count === 0 ? own : b.concat([b.expand(b.ints(o.prefix_labels), rows), own], 1);
    const wanted = b.slice(all, { starts: [1], ends: [end], axes: [1] });
    const scores = b.slice(logits, { starts: [0], ends: [-1], axes: [1] });
    const counts = b.not(b.equal(wanted, -100));
    const safe = b.where(counts, wanted, 0);
    const mask = b.cast(counts, "float32");
    const logp = b.op("LogSoftmax", [scores], { axis: -1 });
    const picked = b.squeeze(b.op("GatherElements", [logp, b.unsqueeze(safe, [-1])], { axis: -1 }), [-1]);
    const weights = b.expand(b.scalar(1, "float32"), b.unsqueeze(b.dim(own, 1), [0]));
    // The first virtual token follows nothing that could tell it.
    const ofPrefix = float32Tensor(o.prefix_weights.slice(1), [Math.max(0, count - 1)]);
    const factor = count > 1 ? b.concat([b.constant(ofPrefix, "weights"), weights], 0) : weights;
    const sum = b.reduceSum(b.mul(b.mul(b.neg(picked), mask), count === 0 ? 1 : factor), undefined, false);
    const judged = b.reduceSum(mask, undefined, false);
    const divisor = b.max(judged, 1);
    return { loss: b.div(sum, divisor), count: judged, divisor };
  },
});
