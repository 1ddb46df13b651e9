/** Attaches methods of decoder blocks: a state beside the hidden states, seeded by a smaller decoder. */
import { type BlockSite, isFloatValue, nodesBetween } from "../analysis/decoder-blocks.ts";
import { parametersOf, type Site, type SiteParameter } from "../analysis/sites.ts";
import { InternalError } from "../diagnostics/define.ts";
import { cloneNode, type ValueMap } from "../ir/clone.ts";
import type { Node } from "../ir/node.ts";
import { restoreOrder } from "../ir/restore-order.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import type { StructureAt } from "./attach-structure.ts";
import { toolsOf } from "./attach-tools.ts";
import type { BlockStructure } from "./define-structure.ts";
import { markJudged } from "./penalty.ts";
import { basePath } from "./select.ts";

/** Lets each block read what the method makes of its input and of the state that goes along. */
export function attachToBlocks(method: BlockStructure, sites: readonly BlockSite[], at: StructureAt): void {
  const [first] = sites;
  if (first === undefined) throw new InternalError("a method of blocks was given none");
  const { graph, options } = at;
  const params = new Map(sites.map((site) => [site, at.paramsOf(site)]));
  // Readers before the rewrite: what the method itself builds goes on reading what the blocks yield.
  const readers = new Map(
    sites.map((site) => {
      const within = new Set(nodesBetween(graph, site.input, site.output, isFloatValue));
      return [
        site,
        new Set([...site.input.uses].filter((use) => use.kind === "operand" && within.has(use.node))),
      ];
    }),
  );
  const builder = (): OpBuilder => {
    const b = new OpBuilder({ graph }, options.opset);
    b.source = first.input.producer;
    return b;
  };
  const tools = toolsOf(builder(), options);
  const { b } = tools;
  const seed = method.seed({
    ...tools,
    sites,
    params: params.get(first) ?? {},
    mirror: (count, parameter) => mirror(b, first, count, parameter),
  });
  let state = seed;
  for (const [i, site] of sites.entries()) {
    const context = { ...tools, site, params: params.get(site) ?? {} };
    const own = readers.get(site);
    const injected = method.inject(context, site.input, state);
    site.input.replaceUses(injected, (use) => own?.has(use) !== true);
    if (i + 1 < sites.length) state = method.advance(context, site.output, state);
  }
  if (method.seedLoss !== 0) {
    const { head } = first.stack;
    const judged = copied(b, nodesBetween(graph, head.x, head.y), new Map([[head.x, seed]]), head.y);
    const output = b.op("Identity", [judged]);
    output.name = "judged";
    markJudged(output, method.seedLoss);
    graph.addOutput(output);
  }
  restoreOrder(graph);
}

/** A copy of the first blocks and of what is behind the last one, on the same tokens, with other parameters. */
function mirror(
  b: OpBuilder,
  { stack }: BlockSite,
  count: number,
  parameter: (module: string, name: string) => Value,
): Value {
  const { blocks, behind, ends, head } = stack;
  const next = ends[count - 1];
  if (next === undefined) throw new InternalError(`a decoder of ${blocks.length} blocks has no ${count}`);
  const stretches = [
    { from: stack.input, to: next, sites: blocks.slice(0, count).flat() },
    { from: stack.output, to: head.x, sites: behind },
  ];
  let value = stack.input;
  for (const { from, to, sites } of stretches) {
    const replace = new Map<Node, { readonly operand: number; readonly value: Value }[]>();
    for (const site of sites) {
      for (const [name, part] of parametersOf(site)) {
        const own = orient(b, site, name, part, parameter(basePath(site), name));
        const known = replace.get(part.reader) ?? [];
        replace.set(part.reader, [...known, { operand: part.operand, value: own }]);
      }
    }
    value = copied(b, nodesBetween(b.graph, from, to), new Map([[from, value]]), to, replace);
  }
  return value;
}

/** A parameter in its module's own layout as its reader wants it. */
function orient(
  b: OpBuilder,
  site: Site,
  name: "weight" | "bias",
  { reader, operand }: SiteParameter,
  own: Value,
): Value {
  const read = reader.input(operand);
  const typed = read === undefined ? own : b.castLike(own, read);
  if (site.kind !== "linear" || name === "bias") return typed;
  const isOut = reader.op === "Gemm" && reader.int("transB", 0) !== 0;
  return isOut === site.conv1d ? b.transpose(typed, [1, 0]) : typed;
}

/** Copies nodes, with other operands where `replace` has some, and gives the copy of a result. */
function copied(
  b: OpBuilder,
  nodes: readonly Node[],
  map: ValueMap,
  result: Value,
  replace: ReadonlyMap<Node, readonly { readonly operand: number; readonly value: Value }[]> = new Map(),
): Value {
  for (const node of nodes) {
    const copy = cloneNode(node, map);
    for (const output of copy.outputs) if (output !== null) output.name = "";
    for (const { operand, value } of replace.get(node) ?? []) copy.setInput(operand, value);
    b.insert(copy);
  }
  const value = map.get(result);
  if (value === undefined) throw new InternalError(`"${result.name}" has no copy`);
  return value;
}
