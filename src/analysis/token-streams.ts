/** Finds where token embeddings enter the network: the tables that are indexed by an input, and what is summed with them. */

import type { Dim } from "../ir/dim.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { ModuleTree } from "./module-path.ts";
import type { EmbeddingSite, Site } from "./sites.ts";

/**
 * A stream of tokens: an encoder's, a decoder's, or the only one. Virtual tokens are put before the real ones in `tokens`,
 * which are [batch, sequence, width].
 */
export interface PromptSite {
  readonly kind: "prompt";
  /** Module path of the token table. */
  readonly path: string;
  readonly embedding: EmbeddingSite;
  /** Input that the table is indexed by, [batch, sequence]. */
  readonly ids: Value;
  /** What the module of the table yields, its own scaling included. */
  readonly tokens: Value;
  readonly width: number;
  /** Place among the streams, that of the output last, and their number. */
  readonly index: number;
  readonly count: number;
  readonly batch: Dim;
  readonly sequence: Dim;
  /** Inputs that index other tables of the stream, such as token types, and whether they are positions. */
  readonly companions: readonly { readonly input: Value; readonly positions: boolean }[];
  /** Every float value that the tokens reach without a product in between: sums, norms, the residual path. */
  readonly reach: ReadonlySet<Value>;
}

/** Tables of learned positions say so in their path, in every exporter's files (`position_embeddings`, `wpe`). */
export function isPositionTable(path: string): boolean {
  return /(^|[._])(wpe|position|positions|position_embeddings?|embed_positions)(#\d+)?$/.test(path);
}

/** Streams of a prepared graph, the one that makes the output last. */
export function findStreams(graph: Graph, sites: readonly Site[]): PromptSite[] {
  const tree = new ModuleTree(graph);
  const indexed = sites.flatMap((site) => {
    const input = site.kind === "embedding" ? indexInput(graph, site.x) : undefined;
    return site.kind === "embedding" && input !== undefined ? [{ site, input, reach: reachOf(site.y) }] : [];
  });
  const groups: (typeof indexed)[] = [];
  for (const each of indexed) {
    const met = groups.filter((group) => group.some(({ reach }) => meets(reach, each.reach)));
    for (const group of met) groups.splice(groups.indexOf(group), 1);
    groups.push([...met.flat(), each]);
  }
  const streams = groups.flatMap((group) => {
    const tables = group.filter(({ site, input }) => !isPositions(site, input));
    const [table] = tables.sort((a, b) => b.site.rows - a.site.rows);
    const shape = table?.input.tensorType?.shape;
    const [batch, sequence, ...rest] = shape ?? [];
    if (table === undefined || batch === undefined || sequence === undefined || rest.length > 0) return [];
    return [{ table, group, batch, sequence }];
  });
  const makesOutput = ({ table }: (typeof streams)[number]): boolean => reachesOutput(graph, table.reach);
  const ordered = [...streams.filter((each) => !makesOutput(each)), ...streams.filter(makesOutput)];
  return ordered.map(({ table, group, batch, sequence }, index) => ({
    kind: "prompt",
    path: table.site.path,
    embedding: table.site,
    ids: table.input,
    tokens: withOwnScaling(table.site, tree),
    width: table.site.width,
    index,
    count: ordered.length,
    batch,
    sequence,
    companions: group
      .filter(({ input }) => input !== table.input)
      .map(({ site, input }) => ({ input, positions: isPositions(site, input) })),
    reach: table.reach,
  }));
}

function isPositions(site: EmbeddingSite, input: Value): boolean {
  return isPositionTable(site.path) || /position/.test(input.name);
}

/** The input of the graph that a table is indexed by, behind casts and movement. */
function indexInput(graph: Graph, index: Value): Value | undefined {
  let value: Value | undefined = index;
  while (value?.producer !== undefined) {
    if (!/^(Cast|Reshape|Identity|Unsqueeze|Squeeze|Flatten)$/.test(value.producer.op)) return undefined;
    value = value.producer.input(0);
  }
  return value !== undefined && value.graph === graph && graph.inputs.includes(value) ? value : undefined;
}

const products: ReadonlySet<string> = new Set(["MatMul", "Gemm", "Conv", "Attention", "Einsum"]);

/** Float values that depend on `from` without a product in between. */
function reachOf(from: Value): Set<Value> {
  const reached = new Set([from]);
  for (const value of reached) {
    for (const use of value.uses) {
      if (use.kind !== "operand" || products.has(use.node.op)) continue;
      for (const output of use.node.outputs) {
        const type = output?.tensorType;
        if (output !== null && type !== undefined && isFloat(type.dtype)) reached.add(output);
      }
    }
  }
  return reached;
}

function meets(left: ReadonlySet<Value>, right: ReadonlySet<Value>): boolean {
  const [few, many] = left.size < right.size ? [left, right] : [right, left];
  for (const value of few) if (many.has(value)) return true;
  return false;
}

/** Whether an output of the graph is reached, or a product that leads to one and to nothing of another stream. */
function reachesOutput(graph: Graph, reach: ReadonlySet<Value>): boolean {
  const last = (value: Value): boolean => {
    let at: Value | undefined = value;
    while (at !== undefined) {
      if (reach.has(at)) return true;
      const node: Node | undefined = at.producer;
      at = node?.inputs.find((input) => input !== null && input.initializer === undefined) ?? undefined;
    }
    return false;
  };
  return graph.outputs.some(last);
}

/** The result of the table's module: behind a factor that the module itself applies, as scaled word embeddings do. */
function withOwnScaling({ y, path }: EmbeddingSite, tree: ModuleTree): Value {
  const [use, another] = y.uses;
  if (use?.kind !== "operand" || another !== undefined || use.node.op !== "Mul") return y;
  const isConstant = use.node.input(1 - use.index)?.initializer?.size === 1;
  return isConstant && tree.pathOf(use.node) === path ? use.node.output() : y;
}
