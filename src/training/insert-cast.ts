/** A Cast right behind what it reads, for passes that change the precision of a graph. */
import { type DType, dtypeCode } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { tensorType } from "../ir/type.ts";
import { Value } from "../ir/value.ts";

/** Inserts the Cast where its operand is made, or first of all for inputs and initializers; it takes its producer's name. */
export function insertCast(graph: Graph, value: Value, to: DType): Node {
  const output = new Value({ type: tensorType(to, value.tensorType?.shape) });
  const cast = new Node({
    op: "Cast",
    inputs: [value],
    attributes: { to: dtypeCode(to) },
    outputs: [output],
  });
  cast.name = value.producer?.name ?? "";
  graph.insert(cast, value.producer === undefined ? graph.first : value.producer.next);
  return cast;
}
