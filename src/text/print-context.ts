/** What the parts of the printer share while they print one model. */
import type { Graph } from "../ir/graph.ts";
import { chooseNames } from "../ir/names.ts";
import type { Value } from "../ir/value.ts";
import { Aliases, type NameRule, namesOfGraph } from "./aliases.ts";

/** How a model is printed; everything may be left out. */
export interface PrintOptions {
  /**
   * Folder that the places of weights in files are given relative to, which has to be that of the text's file for the
   * reference parser to find them. The folder of the model's origin unless given, else the working folder.
   */
  readonly folder?: string;
  /** Tensors in files with at most this many elements are printed as literals, others as references. 64 unless given. */
  readonly inlineElements?: number;
  /** Tensors in memory with more elements are printed without data, for reading only: such a text does not parse. */
  readonly elideElements?: number;
  /** Types of node results as comments; on unless switched off. */
  readonly types?: boolean;
}

/** Options with their defaults, and the names of everything. */
export interface PrintContext {
  readonly folder: string;
  readonly inlineElements: number;
  readonly elideElements: number;
  readonly types: boolean;
  readonly aliases: Aliases;
  /** The name of a value, without quotes or stand-ins. */
  readonly nameOf: (value: Value) => string;
}

/** Chooses names for `roots`, main graphs and function bodies, and stand-ins for those that cannot be spelled. */
export function makePrintContext(
  roots: readonly Graph[],
  otherNames: Iterable<readonly [string, NameRule]>,
  folder: string,
  options: PrintOptions,
): PrintContext {
  const names = new Map(roots.flatMap((graph) => [...chooseNames(graph)]));
  // Only broken IR reads a value that is in no graph; printing it is still wanted, to see what is broken.
  const nameOf = (value: Value): string => names.get(value) ?? (value.name || "undefined");
  function* allNames(): Generator<readonly [string, NameRule]> {
    yield* otherNames;
    for (const graph of roots) yield* namesOfGraph(graph, nameOf);
  }
  return {
    folder,
    inlineElements: options.inlineElements ?? 64,
    elideElements: options.elideElements ?? Number.POSITIVE_INFINITY,
    types: options.types ?? true,
    aliases: new Aliases(allNames()),
    nameOf,
  };
}
