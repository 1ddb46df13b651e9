/** Cross-entropy over the last axis, as torch.nn.CrossEntropyLoss computes it. */
import { z } from "zod";
import { float32Tensor } from "../../src/ir/constant.ts";
import type { Dim } from "../../src/ir/dim.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { dimOf, rankOf, shapeOf } from "../../src/ops/facts.ts";
import { defineLoss } from "../../src/training/define-loss.ts";

const options = z.strictObject({
  labels: z.string().default("labels").describe("batch field with class ids"),
  ignore_index: z.int().default(-100).describe("label of positions that do not count"),
  label_smoothing: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("share of the target spread over all classes"),
  class_weights: z
    .array(z.number().nonnegative())
    .default([])
    .describe("factor of each class, all 1 where empty"),
  shift: z
    .boolean()
    .default(false)
    .describe("judge position t by label t + 1, as a causal language model does"),
});

export default defineLoss({
  name: "cross-entropy",
  summary: "Mean negative log-likelihood of the labelled class",
  options,
  build: ({ logits, label, b, options: o }) => {
    const ids = label(o.labels, "int64", shapeOf(logits).slice(0, -1), o.ignore_index);
    const [scores, wanted] = o.shift ? shifted(b, logits, ids) : [logits, ids];
    const logp = b.op("LogSoftmax", [scores], { axis: -1 });
    const counts = b.not(b.equal(wanted, b.int(o.ignore_index)));
    // An ignored label may be no class at all: read class 0 there, and multiply by 0.
    const safe = b.where(counts, wanted, b.int(0));
    const mask = b.cast(counts, "float32");
    const weights =
      o.class_weights.length > 0 ? b.constant(float32Tensor(o.class_weights), "class_weights") : undefined;
    const factor = weights === undefined ? mask : b.mul(mask, b.gather(weights, safe));
    const total = b.reduceSum(factor, undefined, false);
    const picked = b.squeeze(b.op("GatherElements", [logp, b.unsqueeze(safe, [-1])], { axis: -1 }), [-1]);
    const hard = b.reduceSum(b.mul(b.neg(picked), factor), undefined, false);
    const sum =
      o.label_smoothing === 0 ? hard : smoothed(b, { logp, hard, mask, weights, share: o.label_smoothing });
    // Without any labelled position PyTorch's mean is 0 / 0; 0 keeps such a batch from ending a run.
    const divisor = b.max(total, 1e-12);
    return { loss: b.div(sum, divisor), count: b.reduceSum(mask, undefined, false), divisor };
  },
});

/** Drops the last score and the first label of every row. */
function shifted(b: OpBuilder, logits: Value, ids: Value): [Value, Value] {
  const axis = rankOf(ids) - 1;
  return [
    b.slice(logits, { starts: [0], ends: [-1], axes: [axis] }),
    b.slice(ids, { starts: [1], ends: [Number.MAX_SAFE_INTEGER], axes: [axis] }),
  ];
}

interface Smoothing {
  readonly logp: Value;
  readonly hard: Value;
  readonly mask: Value;
  readonly weights: Value | undefined;
  readonly share: number;
}

/** (1 - e) hard + e / C times the (weighted) sum over classes (Szegedy et al. 2015, arXiv:1512.00567). */
function smoothed(b: OpBuilder, { logp, hard, mask, weights, share }: Smoothing): Value {
  const perClass = b.neg(weights === undefined ? logp : b.mul(logp, weights));
  const even = b.mul(b.reduceSum(perClass, [-1], false), mask);
  const classes: Dim = dimOf(logp, -1);
  const evenShare =
    typeof classes === "number" ? b.scalar(share / classes, "float32") : shareOf(b, logp, share);
  return b.add(b.mul(hard, 1 - share), b.mul(b.reduceSum(even, undefined, false), evenShare));
}

function shareOf(b: OpBuilder, logp: Value, share: number): Value {
  return b.div(b.scalar(share, "float32"), b.cast(b.dim(logp, -1), "float32"));
}
