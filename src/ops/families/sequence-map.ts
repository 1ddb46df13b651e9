/** SequenceMap: a body that runs over the elements of sequences. */
import { InternalError } from "../../diagnostics/define.ts";
import { cloneGraph } from "../../ir/clone.ts";
import { unknownDim } from "../../ir/dim.ts";
import { dtypeCode } from "../../ir/dtype.ts";
import type { Graph } from "../../ir/graph.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { sequenceType, takenType } from "../kernels/sequence-types.ts";
import type { NDArray } from "../ndarray.ts";
import { graph } from "../params.ts";
import { itemsOf, SequenceArray } from "../sequence-array.ts";

export const SequenceMap = defineOp({
  type: "SequenceMap",
  versions: [17],
  inputs: ["sequence", "more..."],
  outputs: ["ys..."],
  attributes: { body: graph() },
  infer: ({ node, in: { sequence, more }, attrs, inferBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    body.inputs.forEach((input, index) => {
      const operand = [sequence, ...more][index];
      input.type = operand?.type?.kind === "sequence" ? takenType(operand) : operand?.type;
    });
    inferBody(body);
    return body.outputs.map(({ tensorType: type }) => {
      const shape = type?.shape?.map((dim) => (typeof dim === "number" ? dim : unknownDim()));
      return type && sequenceType(tensorType(type.dtype, shape));
    });
  },
  evaluate: ({ node, in: { sequence, more }, attrs, runBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const results = body.outputs.map((): NDArray[] => []);
    itemsOf(sequence).forEach((_, index) => {
      const operands = [sequence, ...more].map((operand) =>
        operand instanceof SequenceArray ? operand.items[index] : operand,
      );
      runBody(
        body,
        operands.filter((operand) => operand !== undefined),
      ).forEach((result, at) => results[at]?.push(result));
    });
    return results.map(
      (items, at) => new SequenceArray(body.outputs[at]?.tensorType?.dtype ?? "float32", items),
    );
  },
  precision: "exact",
  // A Loop over the elements, as ONNX defines it.
  gradient: {
    kind: "expand",
    rule: ({ node, in: { sequence, more }, attrs, b }) => {
      const body = cloneGraph(requireAttribute(node, "body", attrs.body), new Map());
      const empty = fillSequences(body, [sequence, ...more], b.opset);
      const starts = empty.map((dtype) => b.op("SequenceEmpty", [], { dtype }));
      const length = b.op("SequenceLength", [sequence]);
      return b.ops("Loop", [length, null, ...starts], { body }, starts.length);
    },
  },
});

/** Turns a body of a SequenceMap into one of a Loop. @returns the element types of the sequences that it fills. */
function fillSequences(body: Graph, operands: readonly Value[], opset: number): number[] {
  const [formal, results] = [[...body.inputs], [...body.outputs]];
  const step = body.addInput({ name: "step", type: tensorType("int64", []), at: 0 });
  const go = body.addInput({ name: "go", type: tensorType("bool", []), at: 1 });
  const start = new OpBuilder({ graph: body, before: body.first }, opset);
  formal.forEach((input, index) => {
    const operand = operands[index];
    if (operand === undefined) throw new InternalError(`SequenceMap has no operand ${index}`);
    const element = operand.type?.kind === "sequence" ? start.op("SequenceAt", [operand, step]) : operand;
    const at = results.indexOf(input);
    if (at >= 0) results[at] = element;
    input.replaceUses(element);
    body.removeInput(input);
  });
  const end = new OpBuilder({ graph: body }, opset);
  const filled = results.map((result) => {
    const type = sequenceType(tensorType(dtypeOf(result), result.tensorType?.shape));
    return end.op("SequenceInsert", [body.addInput({ name: "filled", type }), result]);
  });
  body.setOutputs([end.op("Identity", [go]), ...filled]);
  return results.map((result) => dtypeCode(dtypeOf(result)));
}
