/** Models written as text, with random arrays for their inputs, as cases that gradients are checked on. */
import { Random } from "../../src/data/random.ts";
import { substituteDim } from "../../src/ir/dim.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import type { Environment } from "../../src/ops/evaluate.ts";
import { dtypeOf, shapeOf } from "../../src/ops/facts.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import type { BuiltCase } from "../harness/op-case.ts";

export interface TextCase {
  readonly text: string;
  /** Sizes of the named axes. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Inputs to differentiate by; all float ones unless given. */
  readonly wrt?: readonly string[];
  /** Elements of inputs that are not drawn at random. */
  readonly values?: Readonly<Record<string, readonly number[]>>;
  /** Whether the axes of inputs are known by their sizes instead of their names. */
  readonly fixed?: boolean;
}

/** Builds the case with random elements, between -2 and 2 for floats and 0 or 1 for the rest. */
export function buildText(
  { text, sizes = {}, wrt, values = {}, fixed = false }: TextCase,
  seed = 1,
): BuiltCase {
  const model = parseModel(text);
  const { graph } = model;
  if (fixed) fixAxes(graph, sizes);
  inferModel(model);
  const random = new Random(seed);
  const feeds: Environment = new Map();
  for (const input of graph.inputs) {
    const dtype = dtypeOf(input);
    const shape = shapeOf(input).map((dim) => {
      const size = substituteDim(dim, (name) => sizes[name]);
      if (typeof size !== "number") throw new Error(`no size for "${dim}"`);
      return size;
    });
    const count = shape.reduce((product, dim) => product * dim, 1);
    const draw = (): number => (isFloat(dtype) ? 4 * random.uniform() - 2 : random.below(2));
    feeds.set(input, fromNumbers(dtype, shape, values[input.name] ?? Array.from({ length: count }, draw)));
  }
  const variables = graph.inputs.filter(
    (input) => isFloat(dtypeOf(input)) && (wrt === undefined || wrt.includes(input.name)),
  );
  return {
    model,
    opset: model.opset,
    feeds,
    variables,
    outputs: [...graph.outputs],
    sizes: new Map(Object.entries(sizes)),
  };
}

function fixAxes(graph: Graph, sizes: Readonly<Record<string, number>>): void {
  for (const input of graph.inputs) {
    const shape = shapeOf(input).map((dim) => substituteDim(dim, (name) => sizes[name]));
    input.type = tensorType(dtypeOf(input), shape);
  }
}

/** An input, initializer or result of a graph by name. */
export function valueNamed(graph: Graph, name: string): Value {
  const results = [...graph.nodes()].flatMap((node) => node.outputs.filter((output) => output !== null));
  const value = [...graph.inputs, ...graph.initializers, ...results].find((each) => each.name === name);
  if (value === undefined) throw new Error(`there is no "${name}"`);
  return value;
}
