/** Differentiates nodes through their bodies: prepares what the rule of such an operator is told. */
import { autodiffErrors } from "../diagnostics/autodiff.ts";
import { InternalError } from "../diagnostics/define.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { BodiesContext, BodiesGradient, RegionFlow } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { expandActiveNodes } from "./expand.ts";
import { flowsOf } from "./flow.ts";
import { describePath } from "./path.ts";

/** A node with bodies that the backward walk has come to. */
export interface BodiesNode {
  readonly node: Node;
  /** Gradients of its results by position. */
  readonly grads: readonly (Value | undefined)[];
  readonly active: ReadonlySet<Value>;
  readonly variables: readonly Value[];
  readonly b: OpBuilder;
  readonly differentiate: BodiesContext["differentiate"];
}

/** Gives the gradients of operands and captured values that the rule of the node's operator builds. */
export function reverseBodies({
  node,
  grads,
  active,
  variables,
  b,
  differentiate,
}: BodiesNode): BodiesGradient {
  const op = opOf(node);
  if (op === undefined) throw new InternalError(`${node.op} lost its record`);
  const flows = flowsOf(node, active, (result) => grads[result] !== undefined);
  refuseQuantized(node, flows, active, variables);
  // Before bodies are copied, so that a copy can be told what a draw of such an operator was.
  for (const flow of flows) expandBody(flow, b.opset);
  return op.reverseBodies({ node, grads, flows, b, differentiate });
}

function expandBody({ region, carried, slices, stacked, captures }: RegionFlow, opset: number): void {
  const { body } = region;
  const outputs = [...carried.map(({ output }) => output), ...stacked].flatMap(
    (at) => body.outputs[at] ?? [],
  );
  const inputs = [...carried.map(({ input }) => input), ...slices].flatMap((at) => body.inputs[at] ?? []);
  expandActiveNodes(body, outputs, [...inputs, ...captures], opset);
}

/** Cotangents in bodies have the types of the values that they belong to, which quantised numbers would not let them. */
function refuseQuantized(
  node: Node,
  flows: readonly RegionFlow[],
  active: ReadonlySet<Value>,
  variables: readonly Value[],
): void {
  const values = flows.flatMap(({ region: { body }, carried, slices, stacked }) => [
    ...[...carried.map(({ input }) => input), ...slices].map((input) => body.inputs[input]),
    ...stacked.map((output) => body.outputs[output]),
  ]);
  const lost = values.find((value) => value?.tensorType !== undefined && !isFloat(value.tensorType.dtype));
  if (lost === undefined) return;
  throw autodiffErrors.E_NO_GRADIENT(
    { op: node.op, name: node.name },
    `no rule for the gradient by "${lost.name}", which holds quantised numbers`,
    describePath(node, active, variables),
  );
}
