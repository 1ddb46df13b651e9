/** Key and value pairs of metadata between messages and maps. */
import type { EntryMessage } from "./messages.ts";

export function readEntries(entries: readonly EntryMessage[] | undefined, into: Map<string, string>): void {
  for (const { key = "", value = "" } of entries ?? []) into.set(key, value);
}

export function writeEntries(map: ReadonlyMap<string, string>): EntryMessage[] {
  return [...map].map(([key, value]) => ({ key, value }));
}
