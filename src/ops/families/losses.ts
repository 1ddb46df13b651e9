/** SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss. */
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { evaluateLikelihood, logSoftmaxOfClasses } from "../kernels/likelihood.ts";
import { once } from "../kernels/once.ts";
import { scatterAlong } from "../kernels/positions.ts";
import { axesExcept, reciprocalCount } from "../kernels/reduction-axes.ts";
import { fromNumbers } from "../ndarray.ts";
import { maybeInt, text } from "../params.ts";
import type { Inferred } from "../record.ts";

export const SoftmaxCrossEntropyLoss = defineOp({
  type: "SoftmaxCrossEntropyLoss",
  versions: [12, 13],
  inputs: ["scores", "labels", "weights?"],
  ranks: { scores: [2], labels: [1], weights: 1 },
  outputs: ["loss", "log_prob?"],
  attributes: { ignore_index: maybeInt(), reduction: text("mean") },
  infer: ({ in: { scores, labels }, attrs }) => [inferLoss(scores, labels, attrs.reduction), scores.type],
  evaluate: ({ in: { scores, labels, weights }, attrs, exact }) => {
    const logProb = logSoftmaxOfClasses(scores);
    return [
      evaluateLikelihood({ logProb, labels, weights }, attrs, exact),
      fromNumbers(scores.dtype, scores.shape, logProb.numbers, exact),
    ];
  },
  precision: "full",
  gradient: ({ in: { scores, labels, weights }, out, attrs, grad, b, hasGrad }) => {
    const picks = once(() => pickLabels(b, labels, weights, attrs.ignore_index));
    const logProb = once(() => out.log_prob ?? b.op("LogSoftmax", [scores], { axis: 1 }));
    return {
      scores: () => {
        const parts: Value[] = [];
        if (hasGrad("loss")) {
          const p = out.log_prob === undefined ? b.op("Softmax", [scores], { axis: 1 }) : b.exp(out.log_prob);
          const share = perSample(b, picks(), scores, grad.loss, attrs.reduction);
          parts.push(b.mul(subtractOneHot(b, p, picks().index), share));
        }
        if (hasGrad("log_prob") && grad.log_prob !== undefined) {
          const total = b.reduceSum(grad.log_prob, [1]);
          parts.push(b.sub(grad.log_prob, b.mul(b.exp(logProb()), total)));
        }
        return parts.reduce((sum, part) => b.add(sum, part));
      },
      ...(weights !== undefined && {
        weights: () => {
          const parts = { logProb: logProb(), picks: picks(), weights, loss: out.loss, g: grad.loss };
          return weightGradient(b, parts, attrs.reduction);
        },
      }),
    };
  },
});

export const NegativeLogLikelihoodLoss = defineOp({
  type: "NegativeLogLikelihoodLoss",
  versions: [12, 13, 22],
  inputs: ["log_prob", "labels", "weights?"],
  ranks: { log_prob: [2], labels: [1], weights: 1 },
  outputs: ["loss"],
  attributes: { ignore_index: maybeInt(), reduction: text("mean") },
  infer: ({ in: { log_prob, labels }, attrs }) => [inferLoss(log_prob, labels, attrs.reduction)],
  evaluate: ({ in: { log_prob, labels, weights }, attrs, exact }) => [
    evaluateLikelihood({ logProb: log_prob, labels, weights }, attrs, exact),
  ],
  precision: "full",
  gradient: ({ in: { log_prob, labels, weights }, out, attrs, grad, b }) => {
    const picks = once(() => pickLabels(b, labels, weights, attrs.ignore_index));
    return {
      log_prob: () => {
        const { index } = picks();
        const share = perSample(b, picks(), log_prob, grad.loss, attrs.reduction);
        const updates = b.expand(b.neg(share), b.shape(index));
        return b.op("ScatterElements", [b.zerosLike(log_prob), index, updates], { axis: 1 });
      },
      ...(weights !== undefined && {
        weights: () => {
          const parts = { logProb: log_prob, picks: picks(), weights, loss: out.loss, g: grad.loss };
          return weightGradient(b, parts, attrs.reduction);
        },
      }),
    };
  },
});

/** The class of each sample and how much it counts. */
interface Picks {
  /** Class numbers with an axis of size 1 in the place of the classes; those to ignore replaced by 0. */
  readonly index: Value;
  /** Weight of each sample, of the shape of the labels; undefined where every sample counts once. */
  readonly weight: Value | undefined;
  /** Whether a sample counts, of the shape of the labels; undefined where all do. */
  readonly counts: Value | undefined;
}

function inferLoss(scores: Value, labels: Value, reduction: string): Inferred {
  const dtype = scores.tensorType?.dtype;
  if (dtype === undefined) return undefined;
  return tensorType(dtype, reduction === "none" ? labels.tensorType?.shape : []);
}

function pickLabels(
  b: OpBuilder,
  labels: Value,
  weights: Value | undefined,
  ignored: number | undefined,
): Picks {
  const counts = ignored === undefined ? undefined : b.not(b.equal(labels, ignored));
  const safe = counts === undefined ? labels : b.where(counts, labels, 0);
  const gathered = weights === undefined ? undefined : b.gather(weights, safe);
  const weight = gathered === undefined || counts === undefined ? gathered : b.where(counts, gathered, 0);
  return { index: b.unsqueeze(safe, [1]), weight, counts };
}

/**
 * What a unit of each sample's negative log likelihood adds to the gradient: g w, divided by the sum of w for the mean.
 * Broadcasts against the class numbers; a scalar where all samples count once and the loss is one number.
 */
function perSample(
  b: OpBuilder,
  { weight, counts, index }: Picks,
  scores: Value,
  g: Value,
  reduction: string,
): Value {
  const counted = weight ?? (counts === undefined ? undefined : b.cast(counts, dtypeOf(g)));
  if (counted === undefined) {
    if (reduction === "none") return b.unsqueeze(g, [1]);
    return reduction === "mean" ? b.mul(g, reciprocalCount(b, scores, axesExcept([1], rankOf(index)))) : g;
  }
  const unit = reduction === "mean" ? b.div(g, b.reduceSum(counted, undefined, false)) : g;
  return b.unsqueeze(b.mul(counted, unit), [1]);
}

/** `p` minus 1 at the class of each sample. */
function subtractOneHot(b: OpBuilder, p: Value, index: Value): Value {
  const chosen = b.op("GatherElements", [p, index], { axis: 1 });
  return b.op("ScatterElements", [p, index, b.sub(chosen, 1)], { axis: 1 });
}

/** Sum over the samples of a class of -log p, for the mean minus the loss, all over the sum of weights. */
function weightGradient(
  b: OpBuilder,
  parts: { logProb: Value; picks: Picks; weights: Value; loss: Value; g: Value },
  reduction: string,
): Value {
  const { logProb, picks, weights, loss, g } = parts;
  const { index, weight, counts } = picks;
  const cost = b.neg(b.squeeze(b.op("GatherElements", [logProb, index], { axis: 1 }), [1]));
  const excess = reduction === "mean" ? b.sub(cost, loss) : cost;
  const scale =
    reduction === "mean" && weight !== undefined ? b.div(g, b.reduceSum(weight, undefined, false)) : g;
  const scaled = b.mul(excess, scale);
  const kept = counts === undefined ? scaled : b.where(counts, scaled, 0);
  const [indices, updates] = [b.reshape(index, [-1]), b.reshape(kept, [-1])];
  return scatterAlong(b, { updates, indices, axis: 0, repeated: true }, (dtype) =>
    b.fillLike(weights, 0, dtype),
  );
}
