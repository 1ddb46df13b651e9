/** Emulates 16-bit arithmetic on a provider without it: float32 operators between explicit pairs of Casts. */
import { isLow } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { insertCast } from "./insert-cast.ts";

/**
 * Lets every node that reads or yields a 16-bit float compute in float32: its operands are cast up, its results are cast
 * down (which rounds) and, for the next reader, up again. ONNX Runtime's CPU provider keeps the rounding of such pairs
 * at every optimization level, while it drops that of float16 nodes and has hardly any bfloat16 kernel. Casts, and
 * tests that are asked of the low value itself, stay; and so do nodes with bodies, whose nodes are wrapped instead. Gives
 * the number of nodes that were wrapped.
 */
export function emulateLow(graph: Graph): number {
  return wrapNodes(graph, new Map());
}

function wrapNodes(graph: Graph, raised: Map<Value, Value>): number {
  let wrapped = 0;
  for (const node of graph.nodes()) {
    const bodies = node.subgraphs();
    for (const body of bodies) wrapped += wrapNodes(body, raised);
    if (bodies.length > 0) continue;
    if (node.op === "Cast" || node.op === "IsInf" || node.op === "IsNaN") continue;
    const low = [...node.inputs, ...node.outputs].some((value) => value !== null && isLowValue(value));
    if (!low) continue;
    wrapped += 1;
    node.inputs.forEach((input, index) => {
      if (input !== null && isLowValue(input)) node.setInput(index, raise(graph, input, raised));
    });
    for (const output of node.outputs) if (output !== null && isLowValue(output)) lowerResult(graph, output);
  }
  return wrapped;
}

function isLowValue(value: Value): boolean {
  const dtype = value.tensorType?.dtype;
  return dtype !== undefined && isLow(dtype);
}

/** The float32 view of a low value, made once in the graph that the value stands in. */
function raise(graph: Graph, value: Value, raised: Map<Value, Value>): Value {
  const known = raised.get(value);
  if (known !== undefined) return known;
  const home = value.producer?.graph ?? value.graph ?? graph;
  const view = insertCast(home, value, "float32").output();
  raised.set(value, view);
  return view;
}

/** The node now yields float32; what its readers see is that, rounded. */
function lowerResult(graph: Graph, output: Value): void {
  const type = output.tensorType;
  if (type === undefined) return;
  const cast = insertCast(graph, output, type.dtype);
  const rounded = cast.output();
  output.type = tensorType("float32", type.shape);
  output.replaceUses(rounded, (use) => use.kind === "operand" && use.node === cast);
  rounded.name = output.name;
  output.name = "";
}
