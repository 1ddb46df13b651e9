/** Hides the positions of virtual tokens from everything behind the network: pooling, and the outputs. */
import type { PromptSite } from "../analysis/token-streams.ts";
import { constantOf, smallIntegers } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { isLonger } from "./lengthen.ts";

/**
 * Cuts the first `count` positions off where a fixed position is picked from hidden states [batch, sequence, width] or
 * positions are reduced, and at the outputs. A position that the graph computes from the ids counts virtual tokens, too.
 */
export function dropVirtual(
  graph: Graph,
  stream: PromptSite,
  count: number,
  { opset }: { readonly opset: number },
): void {
  const cut = (value: Value, before: Node | undefined): Value =>
    new OpBuilder({ graph, before }, opset).slice(value, {
      starts: [count],
      ends: [Number.MAX_SAFE_INTEGER],
      axes: [1],
    });
  for (const node of [...graph.nodes()]) {
    const data = node.input(0);
    if (data !== undefined && isHidden(data) && isLonger(data, stream, count) && picksPositions(node))
      node.setInput(0, cut(data, node));
  }
  graph.outputs.forEach((output, index) => {
    if (!isLonger(output, stream, count)) return;
    const real = cut(output, undefined);
    real.name = output.name;
    output.name = "";
    graph.setOutput(index, real);
  });
}

function isHidden(value: Value): boolean {
  const type = value.tensorType;
  return type?.shape?.length === 3 && isFloat(type.dtype);
}

function picksPositions(node: Node): boolean {
  if (node.op === "Gather") return node.int("axis", 0) === 1 && constantOf(node.input(1)) !== undefined;
  if (node.op === "Slice") return typeof node.output().tensorType?.shape?.[1] === "number";
  if (!node.op.startsWith("Reduce")) return false;
  const axes = node.ints("axes", undefined) ?? smallIntegers(node.input(1)?.initializer);
  return axes === undefined || axes.includes(1) || axes.includes(-2);
}
