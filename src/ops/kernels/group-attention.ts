/** The runtime's GroupQueryAttention written with standard operators. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
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
import { rotatePairs } from "./rotary.ts";
import { normalizedAgain } from "./standardize.ts";

/** Operands, as the schema of com.microsoft has them. */
export interface GroupOperands {
  readonly query: Value;
  readonly key: Value | undefined;
  readonly value: Value | undefined;
  readonly pastKey: Value | undefined;
  readonly pastValue: Value | undefined;
  readonly lengths: Value;
  readonly total: Value;
  readonly cosines: Value | undefined;
  readonly sines: Value | undefined;
  readonly positions: Value | undefined;
  readonly bias: Value | undefined;
  readonly sinks: Value | undefined;
  readonly keyScale: Value | undefined;
  readonly valueScale: Value | undefined;
  readonly queryNorm: Value | undefined;
  readonly keyNorm: Value | undefined;
}

/** Attributes, as the schema names them. */
export interface GroupOptions {
  readonly causal: number;
  readonly do_rotary: number;
  readonly k_quant_type: string;
  readonly v_quant_type: string;
  readonly kv_num_heads: number;
  readonly local_window_size: number;
  readonly num_heads: number;
  readonly qk_norm_epsilon: number;
  readonly qk_output: number;
  readonly rotary_interleaved: number;
  readonly scale: number;
  readonly sliding_window_cache: number;
  readonly smooth_softmax: number;
  readonly softcap: number;
}

/** Where the rows of this call stand: after how many keys of the past, and which place each query has. */
interface Places {
  /** Keys before this call, by sequence; undefined where there are none. */
  readonly before: Value | undefined;
  /** Place of each query among the keys, `[batch or 1, length]`. */
  readonly queries: Value;
  /** Whether the past is not read, though there is room for it; undefined where there is no past. */
  readonly first: Value | undefined;
}

/** Result, keys and values with the past, and the scores at the stage of `qk_output`. */
export function attendGroups(
  b: OpBuilder,
  node: Node,
  operands: GroupOperands,
  options: GroupOptions,
): [Value, Value, Value, Value] {
  refuseForms(node, operands, options);
  const heads = splitOperands(b, node, operands, options);
  const past = knownPast(operands);
  const places = findPlaces(b, heads.q, operands, past !== undefined);
  const q = turn(b, heads.q, places, operands, options);
  const newKey = turn(b, heads.key, places, operands, options);
  const slots = past === undefined ? undefined : cacheSlots(b, past.key, heads.q, operands.total, places);
  const key = past === undefined || slots === undefined ? newKey : fill(b, past.key, newKey, slots);
  const value =
    past === undefined || slots === undefined ? heads.value : fill(b, past.value, heads.value, slots);

  const scale = options.scale === 0 ? undefined : options.scale;
  const capped = capScores(b, scaledScores(b, q, repeatHeads(b, key, q), scale), options.softcap);
  const biased = operands.bias === undefined ? capped : b.add(capped, operands.bias);
  const seen = visible(b, key, places, operands, options);
  const kept = b.where(seen, biased, Number.NEGATIVE_INFINITY);
  const weights = softmaxWithSink(b, kept, operands.sinks, options);
  const product = b.matmul(weights, repeatHeads(b, value, q));
  const stage = options.qk_output === 2 ? weights : b.where(seen, biased, 0);
  return [mergeHeads(b, product, options.num_heads), key, value, stage];
}

function refuseForms(node: Node, { keyScale, valueScale }: GroupOperands, options: GroupOptions): void {
  const quantized = options.k_quant_type !== "NONE" || options.v_quant_type !== "NONE";
  if (quantized || keyScale !== undefined || valueScale !== undefined)
    throw operatorErrors.E_OPERATOR_FORM(node, "a quantized cache", "a cache of floats");
  if (options.sliding_window_cache !== 0)
    throw operatorErrors.E_OPERATOR_FORM(node, "a cache as long as the window", "a cache of all keys");
}

interface Heads {
  readonly q: Value;
  readonly key: Value;
  readonly value: Value;
}

/** Heads of the three operands, which may come packed into the query. */
function splitOperands(b: OpBuilder, node: Node, operands: GroupOperands, options: GroupOptions): Heads {
  const { query, key, value } = operands;
  const { num_heads: count, kv_num_heads: shared } = options;
  if (key === undefined || value === undefined) {
    const all = splitHeads(b, query, count + 2 * shared);
    const part = (start: number, size: number): Value =>
      b.slice(all, { starts: [start], ends: [start + size], axes: [1] });
    return normed(
      b,
      node,
      { q: part(0, count), key: part(count, shared), value: part(count + shared, shared) },
      operands,
      options,
    );
  }
  const split = {
    q: splitHeads(b, query, count),
    key: splitHeads(b, key, shared),
    value: splitHeads(b, value, shared),
  };
  return normed(b, node, split, operands, options);
}

/** Queries and keys normalized by head, where the node has weights for that. */
function normed(
  b: OpBuilder,
  node: Node,
  heads: Heads,
  operands: GroupOperands,
  options: GroupOptions,
): Heads {
  const { queryNorm, keyNorm } = operands;
  if (queryNorm === undefined && keyNorm === undefined) return heads;
  if (queryNorm === undefined || keyNorm === undefined)
    throw operatorErrors.E_OPERATOR_FORM(node, "a norm of queries or keys alone", "norms of both or none");
  const norm = (x: Value, weight: Value): Value => {
    const settings = { axes: [3], epsilon: options.qk_norm_epsilon, centered: false };
    return b.mul(b.castLike(normalizedAgain(b, x, settings).hat, x), weight);
  };
  return { q: norm(heads.q, queryNorm), key: norm(heads.key, keyNorm), value: heads.value };
}

/** The cache, where it is there and may hold anything. */
function knownPast({ pastKey, pastValue }: GroupOperands): { key: Value; value: Value } | undefined {
  if (pastKey === undefined || pastValue === undefined || dimOf(pastKey, 2) === 0) return undefined;
  return { key: pastKey, value: pastValue };
}

/** Queries follow the keys of the past, but where all keys are new: then the kernel takes the past for empty. */
function findPlaces(b: OpBuilder, q: Value, { lengths, total }: GroupOperands, hasPast: boolean): Places {
  const length = b.dim(q, 2);
  const steps = b.unsqueeze(countTo(b, length), [0]);
  if (!hasPast) return { before: undefined, queries: steps, first: undefined };
  const first = b.equal(b.reshape(b.cast(total, "int64"), []), length);
  const known = b.sub(b.add(b.cast(lengths, "int64"), 1), length);
  const before = b.where(first, 0, b.reshape(known, [-1]));
  return { before, queries: b.add(b.unsqueeze(before, [1]), steps), first };
}

function turn(b: OpBuilder, x: Value, places: Places, operands: GroupOperands, options: GroupOptions): Value {
  const { cosines, sines } = operands;
  if (options.do_rotary !== 1 || cosines === undefined || sines === undefined) return x;
  const rows = rotaryRows(b, places, operands.positions);
  const table = (values: Value): Value => b.unsqueeze(b.gather(values, rows), [1]);
  const [columns, size] = [dimOf(cosines, 1), dimOf(x, 3)];
  const whole = typeof columns !== "number" || 2 * columns === size;
  return rotatePairs(
    b,
    x,
    { cosine: table(cosines), sine: table(sines) },
    { interleaved: options.rotary_interleaved === 1, size: whole ? 0 : 2 * columns },
  );
}

/** Rows of the rotary tables. Of given positions a first call reads one only, and counts on from it. */
function rotaryRows(b: OpBuilder, places: Places, positions: Value | undefined): Value {
  if (positions === undefined) return places.queries;
  const start = b.gather(b.reshape(positions, [-1]), b.ints([0]));
  const { first, queries } = places;
  if (first === undefined) return b.add(queries, start);
  return b.where(first, b.add(queries, start), positions);
}

/** Where each slot of the new cache comes from, by sequence. */
interface Slots {
  /** Index into the old cache followed by the new keys, `[batch, slots]`. */
  readonly from: Value;
  /** Whether the slot holds a key at all. */
  readonly used: Value;
}

function cacheSlots(b: OpBuilder, past: Value, q: Value, total: Value, { before }: Places): Slots {
  const room = b.dim(past, 2);
  const size = b.max(b.reshape(b.cast(total, "int64"), []), room);
  const slots = b.unsqueeze(countTo(b, size), [0]);
  const start = b.unsqueeze(before ?? b.ints([0]), [1]);
  const fresh = b.add(b.sub(slots, start), room);
  const last = b.sub(b.add(room, b.dim(q, 2)), 1);
  return {
    from: b.where(b.less(slots, start), slots, b.min(fresh, last)),
    used: b.less(slots, b.add(start, b.dim(q, 2))),
  };
}

/** The new cache: the past, what came now, and zeros. */
function fill(b: OpBuilder, past: Value, fresh: Value, { from, used }: Slots): Value {
  const all = b.concat([past, fresh], 2);
  const sizes = b.concat(
    [
      b.op("Shape", [all], { start: 0, end: 2 }),
      b.op("Shape", [from], { start: 1, end: 2 }),
      b.op("Shape", [all], { start: 3, end: 4 }),
    ],
    0,
  );
  const index = b.expand(b.unsqueeze(from, [1, 3]), sizes);
  return b.where(b.unsqueeze(used, [1, 3]), b.op("GatherElements", [all, index], { axis: 2 }), 0);
}

/** Which keys each query may see, `[batch, 1, 1 or length, keys]`: none that are padding, and where causal none behind it. */
function visible(
  b: OpBuilder,
  key: Value,
  { queries }: Places,
  { lengths }: GroupOperands,
  options: GroupOptions,
): Value {
  const columns = b.unsqueeze(countTo(b, b.dim(key, 2)), [0, 1, 2]);
  const last = b.unsqueeze(b.reshape(b.cast(lengths, "int64"), [-1]), [1, 2, 3]);
  if (options.causal === 0) return b.lessOrEqual(columns, last);
  const rows = b.unsqueeze(queries, [1, 3]);
  const causal = b.lessOrEqual(columns, b.min(rows, last));
  if (options.local_window_size < 0) return causal;
  return b.and(causal, b.greater(columns, b.sub(rows, options.local_window_size)));
}

/** Softmax with one more term below the line: `exp(sink)` of each head, 1 for a smooth softmax without sinks. */
function softmaxWithSink(
  b: OpBuilder,
  scores: Value,
  sinks: Value | undefined,
  options: GroupOptions,
): Value {
  if (sinks === undefined && options.smooth_softmax !== 1) {
    // Padding behind the end sees no key where its window is narrow.
    return options.local_window_size < 0 ? b.op("Softmax", [scores], { axis: -1 }) : softmaxOfKept(b, scores);
  }
  const column = b.op("Shape", [scores], { start: 0, end: rankOf(scores) - 1 });
  const sink = sinks === undefined ? b.scalar(0, dtypeOf(scores)) : b.reshape(sinks, [1, -1, 1, 1]);
  const extra = b.expand(sink, b.concat([column, b.ints([1])], 0));
  const weights = b.op("Softmax", [b.concat([scores, extra], 3)], { axis: -1 });
  return b.slice(weights, { starts: [0], ends: [-1], axes: [3] });
}
