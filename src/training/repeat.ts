/** Several optimizer steps as one run: the step becomes the body of a Loop that carries parameters and state. */
import { InternalError } from "../diagnostics/define.ts";
import { cloneInitializers, cloneNode, type ValueMap } from "../ir/clone.ts";
import { inlineTensor } from "../ir/constant.ts";
import { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { roleFact, roleOf } from "../ir/role.ts";
import { tensorType } from "../ir/type.ts";
import { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";

const carried: ReadonlySet<string> = new Set(["param", "state", "scale"]);

/**
 * Gives a graph that runs `steps` steps of `graph`. What a step reads anew (batch, labels, learning rate, seed) comes
 * stacked on a new first axis and is gathered by iteration; what it yields anew (loss, metrics) goes out stacked;
 * frozen weights stay outside the body. Losses are those of separate runs, bit for bit.
 */
export function repeatSteps(graph: Graph, steps: number, opset: number): Graph {
  const outer = new Graph(graph.name);
  outer.docString = graph.docString;
  const body = new Graph("step");
  const map: ValueMap = new Map();
  const iteration = body.addInput({ name: "iteration", type: tensorType("int64", []) });
  const condition = body.addInput({ name: "condition", type: tensorType("bool", []) });
  const inner = new OpBuilder({ graph: body }, opset);
  const initial: Value[] = [];
  for (const input of graph.inputs) {
    const isCarried = carried.has(roleOf(input) ?? "");
    const type = input.tensorType;
    if (type?.shape === undefined) throw new InternalError(`input "${input.name}" has no known rank`);
    const outside = outer.addInput({
      name: input.name,
      type: isCarried ? type : tensorType(type.dtype, [steps, ...type.shape]),
    });
    outside.initializer = input.initializer;
    for (const [key, value] of input.metadata) outside.metadata.set(key, value);
    if (isCarried) {
      initial.push(outside);
      map.set(input, body.addInput({ name: `${input.name}.now`, type }));
    } else {
      map.set(input, inner.gather(outside, iteration));
    }
  }
  cloneInitializers(graph, outer, map);
  for (const node of graph.nodes()) body.insert(cloneNode(node, map));
  buildLoop({ graph, outer, body, map, initial, condition, steps, opset });
  return outer;
}

interface LoopParts {
  readonly graph: Graph;
  readonly outer: Graph;
  readonly body: Graph;
  readonly map: ValueMap;
  readonly initial: readonly Value[];
  readonly condition: Value;
  readonly steps: number;
  readonly opset: number;
}

function buildLoop({ graph, outer, body, map, initial, condition, steps, opset }: LoopParts): void {
  const next = new Map(
    graph.outputs.flatMap((output) => {
      const feeds = roleFact(output, "feeds");
      return feeds === undefined ? [] : [[feeds, output] as const];
    }),
  );
  const scanned = graph.outputs.filter((output) => roleFact(output, "feeds") === undefined);
  const inside = (output: Value): Value => map.get(output) ?? output;
  const results = initial.map((input) => {
    const output = next.get(input.name);
    if (output === undefined) throw new InternalError(`state "${input.name}" is not updated`);
    return output;
  });
  const inner = new OpBuilder({ graph: body }, opset);
  // A body may not yield one of its own inputs or an outer value directly.
  const owned = (value: Value): Value => inner.op("Identity", [value]);
  body.setOutputs([
    owned(condition),
    ...results.map((output) => owned(inside(output))),
    ...scanned.map((output) => owned(inside(output))),
  ]);

  const values = [...results, ...scanned].map((output, index) => {
    const type = output.tensorType;
    const shape =
      type?.shape === undefined ? undefined : index < results.length ? type.shape : [steps, ...type.shape];
    const value = new Value({
      name: output.name,
      type: type === undefined ? undefined : tensorType(type.dtype, shape),
    });
    for (const [key, text] of output.metadata) value.metadata.set(key, text);
    return value;
  });
  const b = new OpBuilder({ graph: outer }, opset);
  const always = b.constant(inlineTensor("bool", [], Uint8Array.of(1)), "always");
  const loop = new Node({
    op: "Loop",
    inputs: [b.int(steps), always, ...initial],
    attributes: { body },
    outputs: values,
    name: "steps",
  });
  outer.insert(loop);
  const byOriginal = new Map([...results, ...scanned].map((output, index) => [output, values[index]]));
  outer.setOutputs(graph.outputs.flatMap((output) => byOriginal.get(output) ?? []));
}
