/** Starting values of virtual tokens: rows of the model's own token table. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { EmbeddingSite } from "../analysis/sites.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { baseRows } from "./base-weight.ts";
import type { Initializer } from "./initializers.ts";

/** The rows of given ids, one below the other. @throws DiagnosticError `E_TOKEN_ID` for ids that the table does not have. */
export function tokenRows(table: EmbeddingSite, ids: readonly number[]): Initializer {
  const wrong = ids.find((id) => id >= table.rows);
  if (wrong !== undefined) throw adaptErrors.E_TOKEN_ID(wrong, table.path, table.rows);
  return baseRows(table, ids);
}

/** Rows of ids drawn evenly. */
export function sampledRows(table: EmbeddingSite): Initializer {
  return ([count = 0, ...rest], random) => {
    const ids = Array.from({ length: count }, () => Math.floor(random.uniform() * table.rows));
    return tokenRows(table, ids)([count, ...rest], random);
  };
}

/**
 * Rows of a text's tokens, special tokens included, repeated until there are enough.
 *
 * @param tokenizer a tokenizer.json, or the folder that holds one.
 */
export function textRows(table: EmbeddingSite, text: string, tokenizer: string): Initializer {
  return ([count = 0, ...rest], random) => {
    const isFolder = existsSync(tokenizer) && statSync(tokenizer).isDirectory();
    const file = isFolder ? join(tokenizer, "tokenizer.json") : tokenizer;
    const { ids } = Tokenizer.open(file).encode(text);
    const repeated = Array.from({ length: count }, (_, i) => ids[i % ids.length] ?? 0);
    return tokenRows(table, repeated)([count, ...rest], random);
  };
}
