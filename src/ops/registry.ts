/** Finds the record of an operator; the records themselves are listed from `families/`. */
import { InternalError } from "../diagnostics/define.ts";
import { families } from "./families/index.ts";
import type { Op } from "./record.ts";

const records = new Map<string, Op>();
for (const family of families) {
  for (const op of Object.values<Op>(family)) {
    const key = keyOf(op.domain, op.type);
    if (records.has(key)) throw new InternalError(`operator ${key} has two records`);
    records.set(key, op);
  }
}

/** Every operator with a record, in no particular order. */
export function allOps(): readonly Op[] {
  return [...records.values()];
}

/** The record of an operator, undefined for those we do not know. "ai.onnx" and "" are the same domain. */
export function lookupOp(domain: string, type: string): Op | undefined {
  return records.get(keyOf(domain, type));
}

/** The record of a node's operator. */
export function opOf(node: { readonly domain: string; readonly op: string }): Op | undefined {
  return lookupOp(node.domain, node.op);
}

function keyOf(domain: string, type: string): string {
  return domain === "" || domain === "ai.onnx" ? type : `${domain}.${type}`;
}
