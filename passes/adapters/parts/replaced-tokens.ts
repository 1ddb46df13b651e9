/** Rows of a token table that are replaced by trained ones, in what the table's readers yield. */
import { z } from "zod";
import { baseRows } from "../../../src/adapt/base-weight.ts";
import type { ParameterSpec, SiteOf } from "../../../src/adapt/define.ts";
import { int64Tensor } from "../../../src/ir/constant.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";

type TokenSite = SiteOf<"embedding" | "linear">;

/** Ids of tokens, each once. */
export const tokenIds = z
  .array(z.int().nonnegative())
  .refine((ids) => new Set(ids).size === ids.length, "expected each token once");

/** Why the ids do not fit a table, or true. */
export function acceptsTokens(site: TokenSite, ids: readonly number[]): true | string {
  const rows = site.kind === "embedding" ? site.rows : site.outFeatures;
  const wrong = ids.find((id) => id >= rows);
  if (ids.length === 0) return "no token is named";
  return wrong === undefined ? true : `it has ${rows} rows, and none of token ${wrong}`;
}

/** Trained rows [n, width] of the ids, starting at those of the table. */
export function tokensSpec(site: TokenSite, ids: readonly number[], prefix = ""): ParameterSpec {
  const width = site.kind === "embedding" ? site.width : site.inFeatures;
  return {
    key: `${prefix}trainable_tokens_delta`,
    shape: [ids.length, width],
    init: baseRows(site, ids),
    repeated: true,
  };
}

/** Where tokens are replaced: the reader of the table, what it reads and yields, and the trained rows [n, width] of the ids. */
export interface ReplacedTokens {
  readonly site: TokenSite;
  readonly x: Value;
  readonly y: Value;
  readonly delta: Value;
  readonly ids: readonly number[];
}

/** Embeddings, or scores, with those of the chosen tokens made from the trained rows. */
export function replaceTokens(b: OpBuilder, { site, x, y, delta, ids }: ReplacedTokens): Value {
  const tokens = b.constant(int64Tensor(ids), "token_indices");
  if (site.kind === "embedding") {
    const hits = b.cast(b.equal(b.unsqueeze(b.cast(x, "int64"), [-1]), tokens), "float32");
    const row = b.op("ArgMax", [hits], { axis: -1, keepdims: 0 });
    const isChosen = b.cast(b.reduceMax(hits, [-1]), "bool");
    return b.where(isChosen, b.castLike(b.gather(delta, row), y), y);
  }
  const product = b.matmul(x, b.castLike(b.transpose(delta, [1, 0]), x));
  const bias = site.bias?.value;
  const scores = bias === undefined ? product : b.add(product, b.gather(bias, tokens));
  const places = b.expand(tokens, b.op("Shape", [scores]));
  return b.op("ScatterElements", [y, places, scores], { axis: -1 });
}

/** A weight with the trained rows inside. */
export function mergeTokens(b: OpBuilder, weight: Value, delta: Value, ids: readonly number[]): Value {
  return b.op("ScatterND", [weight, b.unsqueeze(b.constant(int64Tensor(ids), "token_indices"), [1]), delta]);
}
