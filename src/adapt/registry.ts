/** Methods from outside the package, known by name for the length of the process. */
import type { Adapter } from "./define.ts";

const extra = new Map<string, Adapter>();

/** Makes a method available to the `adapt` pass; a later one of the same name replaces it. */
export function registerAdapter(adapter: Adapter): void {
  extra.set(adapter.name, adapter);
}

/** The method of a name among the given built-in ones and those registered, the latter first. */
export function findAdapter(name: string, builtIn: readonly Adapter[]): Adapter | undefined {
  return extra.get(name) ?? builtIn.find((adapter) => adapter.name === name);
}

/** Names of all methods that can be asked for. */
export function adapterNames(builtIn: readonly Adapter[]): string[] {
  return [...new Set([...builtIn.map(({ name }) => name), ...extra.keys()])].sort();
}
