/** If backwards: an If on the same condition, whose branches go back through those of the forward one. */
import { InternalError } from "../../diagnostics/define.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import type { BodiesContext, BodiesGradient, Region } from "../record.ts";
import { zeroCotangent } from "./cotangent.ts";
import { requireAttribute } from "./require-attribute.ts";
import { orderInputs, type ReversedBody, reverseBody, saveValues, yieldValues } from "./reverse-body.ts";

const branches = ["then_branch", "else_branch"] as const;

/** Both branches: nothing enters or is carried, results leave in their order. */
export function branchRegions(node: Node): Region[] {
  return branches.map((name) => {
    const attribute = node.attributes.get(name);
    const body = requireAttribute(node, name, attribute?.kind === "graph" ? attribute.value : undefined);
    return { body, enters: [], carries: body.outputs.map(() => undefined), leaves: [...body.outputs.keys()] };
  });
}

/**
 * The gradient of an If by what its branches read from around them. The branch that is taken computes anew what it needs, but
 * for products and draws, which the forward node yields besides (the other branch then yields an empty tensor in their
 * place); what only one branch reads has zeros in the other.
 */
export function reverseIf(context: BodiesContext): BodiesGradient {
  const { node, grads, flows, b } = context;
  const reversed = flows.map((flow) => reverseBody(context, flow));
  const captured = [...new Set(reversed.flatMap(({ captures }) => captures.map((each) => each.captured)))];
  if (captured.length === 0) return { operands: new Map(), captures: new Map() };
  reversed.forEach((each, at) => {
    const { graph, captures, stacked } = each;
    const inner = new OpBuilder({ graph }, b.opset);
    const parts = new Map(captures.map(({ captured: value, part }) => [value, part]));
    yieldValues(
      graph,
      captured.map((value) => parts.get(value) ?? zeroCotangent(inner, value)),
      b.opset,
    );
    saveResults(node, each, flows[at]?.region.body, b.opset);
    flows[at]?.stacked.forEach((output, i) => {
      const gradient = grads[output];
      if (gradient !== undefined) stacked[i]?.replaceUses(gradient);
    });
    orderInputs(graph, []);
  });
  const attributes = Object.fromEntries(branches.map((name, at) => [name, reversed[at]?.graph]));
  const results = b.ops("If", [node.input(0) ?? null], attributes, captured.length);
  return {
    operands: new Map(),
    captures: new Map(
      captured.flatMap((value, at) => {
        const result = results[at];
        return result === undefined ? [] : [[value, result] as const];
      }),
    ),
  };
}

/** Lets the forward node yield what a branch backwards reads instead of computing it anew. */
function saveResults(node: Node, reversed: ReversedBody, body: Graph | undefined, opset: number): void {
  if (body === undefined) throw new InternalError("an If has two branches");
  const mayHold = (value: Value): boolean => value.tensorType?.shape !== undefined;
  for (const { forward, input } of saveValues(node, body, reversed, mayHold)) {
    const [dtype, rank] = [dtypeOf(forward), rankOf(forward)];
    for (const branch of node.subgraphs()) {
      const inside = new OpBuilder({ graph: branch }, opset);
      const nothing = (): Value =>
        rank === 0
          ? inside.op("Identity", [inside.scalar(0, dtype)])
          : inside.expand(inside.scalar(0, dtype), inside.ints(new Array<number>(rank).fill(0)));
      branch.addOutput(branch === body ? inside.op("Identity", [forward]) : nothing());
    }
    const saved = node.addOutput({ name: forward.name, type: tensorType(dtype, unknownShape(rank)) });
    input.replaceUses(saved);
  }
}
