/** Sequences element by element: a Loop that reads one and fills another. */
import { dtypeCode } from "../../ir/dtype.ts";
import { Graph } from "../../ir/graph.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import { sequenceType } from "./sequence-types.ts";

/** The sequence of what `build` makes of each element; it may read elements of other sequences by the same index. */
export function mapSequence(
  b: OpBuilder,
  sequence: Value,
  build: (inner: OpBuilder, element: Value, index: Value) => Value,
): Value {
  const body = new Graph("element");
  const index = body.addInput({ name: "index", type: tensorType("int64", []) });
  const go = body.addInput({ name: "go", type: tensorType("bool", []) });
  const inner = new OpBuilder({ graph: body }, b.opset);
  const made = build(inner, inner.op("SequenceAt", [sequence, index]), index);
  const element = tensorType(dtypeOf(made), made.tensorType?.shape);
  const filled = body.addInput({ name: "filled", type: sequenceType(element) });
  body.setOutputs([inner.op("Identity", [go]), inner.op("SequenceInsert", [filled, made])]);
  const empty = b.op("SequenceEmpty", [], { dtype: dtypeCode(element.dtype) });
  return b.op("Loop", [b.op("SequenceLength", [sequence]), null, empty], { body });
}
