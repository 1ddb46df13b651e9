/** Prefixes of keys and values, as PEFT lays them out: one row for each virtual token, layer after layer, key before value. */

import type { HeadPair } from "../../../src/adapt/define-structure.ts";
import type { AttentionSite } from "../../../src/analysis/attention-sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { type PromptOptions, prefixMisfit } from "./prompt-config.ts";

/** Blocks that read a cache of their own keys and values: those of the decoder, or of the only stream. */
export function prefixSites(
  sites: readonly AttentionSite[],
  o: PromptOptions,
): readonly AttentionSite[] | string {
  const own = sites.filter(({ stream }) => stream !== undefined && stream.index === stream.count - 1);
  return prefixMisfit(own, o) ?? own;
}

/** Width of a key of all heads, and of a row of the table. */
export function prefixSizes(
  sites: readonly AttentionSite[],
  o: PromptOptions,
): { readonly tokenDim: number; readonly rowWidth: number } {
  const [first] = sites;
  const tokenDim = first === undefined ? 1 : first.keyHeads * first.headDim;
  return { tokenDim, rowWidth: (o.num_layers ?? sites.length) * 2 * tokenDim };
}

/**
 * Keys and values of a block from the table [n, layers * 2 * width]. Behind an encoder, PEFT repeats the row before it deals
 * four parts to each layer, of which the decoder's own attention takes the first two.
 */
export function prefixOf(b: OpBuilder, table: Value, site: AttentionSite, index: number): HeadPair {
  const { keyHeads, headDim, stream } = site;
  const width = keyHeads * headDim;
  const total = table.tensorType?.shape?.[1];
  const parts = typeof total === "number" ? total / width : 1;
  const first = (2 * (stream?.count ?? 1) * index) % parts;
  const part = (at: number): Value => {
    const columns = b.slice(table, { starts: [at * width], ends: [(at + 1) * width], axes: [1] });
    return b.transpose(b.reshape(columns, [1, -1, keyHeads, headDim]), [0, 2, 1, 3]);
  };
  return { key: part(first), value: part((first + 1) % parts) };
}
