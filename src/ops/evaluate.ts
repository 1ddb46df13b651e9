/** The reference evaluator: runs graphs in TypeScript, for constants and for checking what the runtime computes. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { fromTensor, type NDArray } from "./ndarray.ts";
import { opOf } from "./registry.ts";

/** Arrays of values, outer scopes included. */
export type Environment = Map<Value, NDArray>;

export interface EvaluateOptions {
  readonly opset: number;
  /** Keep float results unrounded (float64 mode). */
  readonly exact?: boolean;
}

/**
 * Runs a graph and gives its outputs in order.
 *
 * @param feeds arrays of the graph's inputs; inputs with a default may be left out.
 * @throws InternalError naming a node whose operator is not evaluated.
 */
export function evaluateGraph(graph: Graph, feeds: Environment, options: EvaluateOptions): NDArray[] {
  const environment: Environment = new Map(feeds);
  runNodes(graph, environment, options);
  return graph.outputs.map((output) => read(output, environment));
}

/** Evaluates one node on the given operands; undefined where its operator is not evaluated. */
export function evaluateNode(
  node: Node,
  inputs: readonly (NDArray | undefined)[],
  options: EvaluateOptions,
): readonly (NDArray | null)[] | undefined {
  const op = opOf(node);
  if (op === undefined || op.evaluationRefusal !== undefined) return undefined;
  const runBody = (): never => {
    throw new InternalError(`${node.op} runs a body, which needs the whole graph`);
  };
  return op.evaluate(node, inputs, { opset: options.opset, exact: options.exact ?? false, runBody });
}

function runNodes(graph: Graph, environment: Environment, options: EvaluateOptions): void {
  const { opset, exact = false } = options;
  for (const node of graph.nodes()) {
    const op = opOf(node);
    const why = op === undefined ? "it has no record" : op.evaluationRefusal;
    if (op === undefined || why !== undefined) {
      throw new InternalError(`the evaluator cannot run ${node.op} "${node.name}": ${why}`);
    }
    const inputs = node.inputs.map((input) => (input === null ? undefined : read(input, environment)));
    const runBody = (body: Graph, values: readonly NDArray[]): NDArray[] => {
      const inner: Environment = new Map(environment);
      body.inputs.forEach((input, index) => {
        const value = values[index];
        if (value !== undefined) inner.set(input, value);
      });
      runNodes(body, inner, options);
      return body.outputs.map((output) => read(output, inner));
    };
    const results = op.evaluate(node, inputs, { opset, exact, runBody });
    node.outputs.forEach((output, index) => {
      const result = results[index];
      if (output !== null && result != null) environment.set(output, result);
    });
  }
}

function read(value: Value, environment: Environment): NDArray {
  const known = environment.get(value);
  if (known !== undefined) return known;
  if (value.initializer === undefined) throw new InternalError(`value "${value.name}" has not been computed`);
  const array = fromTensor(value.initializer);
  environment.set(value, array);
  return array;
}
