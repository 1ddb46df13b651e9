/** Scaled dot product attention written with standard operators. */
import { dimsEqual } from "../../ir/dim.ts";
import { dtypeFromCode } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import {
  capScores,
  countTo,
  mergeHeads,
  repeatHeads,
  scaledScores,
  softmaxOfKept,
  splitHeads,
} from "./heads.ts";

/** Operands of attention; `lengths` counts the keys of each sequence that are no padding. */
export interface AttentionOperands {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly mask: Value | undefined;
  readonly pastKey: Value | undefined;
  readonly pastValue: Value | undefined;
  readonly lengths: Value | undefined;
}

/** Attributes of attention, as ONNX names them. */
export interface AttentionOptions {
  readonly is_causal: number;
  readonly left_window_size: number;
  readonly right_window_size: number;
  readonly kv_num_heads: number;
  readonly q_num_heads: number;
  readonly qk_matmul_output_mode: number;
  readonly scale: number | undefined;
  readonly softcap: number;
  readonly softmax_precision: number;
}

/** Result, keys and values with the past, and the scores at the asked stage. */
export function attend(
  b: OpBuilder,
  operands: AttentionOperands,
  options: AttentionOptions,
): [Value, Value, Value, Value] {
  const { pastKey, pastValue, lengths } = operands;
  const flat = rankOf(operands.q) === 3;
  const heads = (x: Value, count: number): Value => (flat ? splitHeads(b, x, count) : x);
  const q = heads(operands.q, options.q_num_heads);
  const newKey = heads(operands.k, options.kv_num_heads);
  const newValue = heads(operands.v, options.kv_num_heads);
  const key = pastKey === undefined ? newKey : b.concat([pastKey, newKey], 2);
  const value = pastValue === undefined ? newValue : b.concat([pastValue, newValue], 2);

  const scores = scaledScores(b, q, repeatHeads(b, key, q), options.scale);
  const capped = capScores(b, scores, options.softcap);
  const offset = pastKey === undefined ? undefined : b.dim(pastKey, 2);
  const keep = visible(b, q, key, { offset, lengths }, options);
  const biased = addMasks(b, capped, key, operands.mask, keep, lengths);
  const dtype = options.softmax_precision === 0 ? undefined : dtypeFromCode(options.softmax_precision);
  const wide = dtype === undefined ? biased : b.cast(biased, dtype);
  const masked = biased !== capped;
  const weights = b.castLike(masked ? softmaxOfKept(b, wide) : b.op("Softmax", [wide], { axis: -1 }), q);
  const product = b.matmul(weights, repeatHeads(b, value, q));
  const y = flat ? mergeHeads(b, product, options.q_num_heads) : product;
  const stages = [scores, capped, biased, weights];
  return [y, key, value, stages[options.qk_matmul_output_mode] ?? scores];
}

/** Which keys each query may see: those in its window, which ends at its own place where it is causal. */
function visible(
  b: OpBuilder,
  q: Value,
  key: Value,
  cache: { readonly offset: Value | undefined; readonly lengths: Value | undefined },
  options: AttentionOptions,
): Value | undefined {
  const left = options.left_window_size;
  const right = options.is_causal === 1 ? 0 : options.right_window_size;
  if (left < 0 && right < 0) return undefined;
  const rows = b.unsqueeze(countTo(b, b.dim(q, 2)), [1]);
  const columns = b.unsqueeze(countTo(b, b.dim(key, 2)), [0]);
  const places = placesOf(b, rows, q, cache);
  const kept = [
    ...(left < 0 ? [] : [b.greaterOrEqual(columns, left === 0 ? places : b.sub(places, left))]),
    ...(right < 0 ? [] : [b.lessOrEqual(columns, right === 0 ? places : b.add(places, right))]),
  ];
  return kept.reduce((all, some) => b.and(all, some));
}

/** The place of each query among the keys. */
function placesOf(
  b: OpBuilder,
  rows: Value,
  q: Value,
  { offset, lengths }: { readonly offset: Value | undefined; readonly lengths: Value | undefined },
): Value {
  if (offset !== undefined) return b.add(rows, offset);
  return lengths === undefined ? rows : b.add(rows, b.unsqueeze(b.sub(lengths, b.dim(q, 2)), [1, 2, 3]));
}

function addMasks(
  b: OpBuilder,
  scores: Value,
  key: Value,
  mask: Value | undefined,
  keep: Value | undefined,
  lengths: Value | undefined,
): Value {
  let result = scores;
  if (mask !== undefined) {
    const whole = reachingEnd(b, mask, key);
    if (dtypeOf(mask) === "bool") result = b.where(whole, result, Number.NEGATIVE_INFINITY);
    else result = b.add(result, whole);
  }
  if (keep !== undefined) result = b.where(keep, result, Number.NEGATIVE_INFINITY);
  if (lengths === undefined) return result;
  const columns = countTo(b, b.dim(key, 2));
  return b.where(b.less(columns, b.unsqueeze(lengths, [1, 2, 3])), result, Number.NEGATIVE_INFINITY);
}

/**
 * A mask for all keys. From opset 24 on one that is shorter masks the keys that it does not reach, one column included;
 * before, that one column was for all keys.
 */
function reachingEnd(b: OpBuilder, mask: Value, key: Value): Value {
  const [columns, keys] = [dimOf(mask, -1), dimOf(key, 2)];
  if (b.opset < 24 || dimsEqual(columns, keys)) return mask;
  const missing = b.sub(b.dim(key, 2), b.dim(mask, -1));
  const pads = b.concat(
    [b.ints(new Array<number>(2 * rankOf(mask) - 1).fill(0)), b.unsqueeze(missing, [0])],
    0,
  );
  const dtype = dtypeOf(mask);
  return b.op("Pad", [mask, pads, b.scalar(dtype === "bool" ? 0 : Number.NEGATIVE_INFINITY, dtype)]);
}
