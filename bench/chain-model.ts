/** A model of one long chain: two linear modules with cheap nodes between them, to see how cost grows with the count of nodes. */
import { inlineTensor } from "../src/ir/constant.ts";
import { symbol } from "../src/ir/dim.ts";
import { Model } from "../src/ir/model.ts";
import { tensorType } from "../src/ir/type.ts";
import type { Value } from "../src/ir/value.ts";
import { OpBuilder } from "../src/ops/builder.ts";

const width = 8;
const steps = [
  (b: OpBuilder, x: Value) => b.op("Tanh", [x]),
  (b: OpBuilder, x: Value) => b.add(x, 0.001),
  (b: OpBuilder, x: Value) => b.op("Sigmoid", [x]),
  (b: OpBuilder, x: Value) => b.mul(x, 1.001),
  (b: OpBuilder, x: Value) => b.op("Relu", [x]),
];

/** A chain of `length` nodes between a module `fc` and a head of two classes. */
export function chainModel(length: number): Model {
  const model = new Model();
  const { graph } = model;
  const b = new OpBuilder({ graph }, model.opset);
  const input = graph.addInput({ name: "x", type: tensorType("float32", [symbol("batch"), width]) });
  let x = b.matmul(input, weight(model, "fc.weight", width));
  for (let i = 0; i < length; i++) x = steps[i % steps.length]?.(b, x) ?? x;
  const logits = b.matmul(x, weight(model, "head.weight", 2));
  logits.name = "logits";
  graph.setOutputs([logits]);
  return model;
}

function weight({ graph }: Model, name: string, columns: number): Value {
  const values = Float32Array.from({ length: width * columns }, (_, i) => Math.sin(i));
  return graph.addInitializer(inlineTensor("float32", [width, columns], new Uint8Array(values.buffer)), name);
}
