/** aLoRA: a row is adapted from the last place on where its invocation tokens stand. */
import { int64Tensor } from "../../../src/ir/constant.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { dimOf, rankOf } from "../../../src/ops/facts.ts";
import { updateOf } from "./factors.ts";
import type { LoraContext, LoraVariant } from "./variant.ts";

/** Places [batch, sequence], counted from 1, and the last of each row where the tokens start: 0 where there is none. */
function places(ids: Value, tokens: readonly number[], b: OpBuilder): { place: Value; start: Value } {
  const rest = tokens.length - 1;
  // No token is -1, so that no match runs over the end.
  const wide = rest === 0 ? ids : b.op("Pad", [ids, b.ints([0, 0, 0, rest]), b.int(-1)]);
  const hits = tokens.map((token, i) => {
    const end = i === rest ? Number.MAX_SAFE_INTEGER : i - rest;
    const shifted = rest === 0 ? wide : b.slice(wide, { starts: [i], ends: [end], axes: [1] });
    return b.cast(b.equal(shifted, b.constant(int64Tensor([token]), "token")), "int64");
  });
  const hit = hits.reduce((all, each) => b.mul(all, each));
  const row = b.op("CumSum", [b.add(b.mul(ids, b.int(0)), b.int(1)), b.int(1)]);
  return { place: row, start: b.reduceMax(b.mul(hit, row), [1], true) };
}

/** 1 where a token is adapted, else 0, as [batch, sequence, 1], or for one token a row as [batch, 1]. */
function maskOf(ids: Value, tokens: readonly number[], perRow: boolean, b: OpBuilder): Value {
  const { place, start } = places(ids, tokens, b);
  const found = b.cast(b.greater(start, b.int(0)), "float32");
  // A module that reads one token of a row is adapted where the row is.
  if (perRow) return found;
  const isBehind = b.cast(b.greaterOrEqual(place, start), "float32");
  return b.unsqueeze(b.mul(isBehind, found), [2]);
}

function build({ site, x, y, params, options: o, b, dropout, tokens }: LoraContext): Value {
  const update = updateOf(site, dropout(x, o.lora_dropout), params, o, b);
  const ids = b.cast(tokens(), "int64");
  const perRow = rankOf(x) === 2 && String(dimOf(x, 0)) === String(dimOf(ids, 0));
  const mask = b.castLike(maskOf(ids, o.alora_invocation_tokens ?? [], perRow, b), update);
  const shaped = rankOf(x) === 2 && !perRow ? b.reshape(mask, [-1, 1]) : mask;
  return b.add(y, b.mul(update, shaped));
}

export const invocation: LoraVariant = {
  option: "alora_invocation_tokens",
  isAsked: (o) => o.alora_invocation_tokens !== null,
  kinds: ["linear"],
  build,
  merge: () => "alora_invocation_tokens adapt some tokens of a row, and a weight acts on all",
};
