/** Gradients of small models: the backward graph beside the forward one, and central differences to judge it. */
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { Random } from "../../src/data/random.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Value } from "../../src/ir/value.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { dtypeOf } from "../../src/ops/facts.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { type BuiltCase, buildCase, type Naming, type OpCase } from "./op-case.ts";
import { differenceStep } from "./tolerance.ts";

/** A model with its backward graph appended; the graph's outputs are the gradients that exist, in order. */
export interface BackwardCase extends BuiltCase {
  /** Inputs for the gradients of the results, undefined for results that are no floats. */
  readonly seeds: readonly (Value | undefined)[];
  /** Gradients of `variables`, undefined where there is none. */
  readonly gradients: readonly (Value | undefined)[];
}

/** Appends the backward graph of a case, with random gradients of the results as further inputs. */
export function appendBackward(built: BuiltCase, seed = 1): BackwardCase {
  const { model, opset, outputs, variables } = built;
  const { graph } = model;
  const results = evaluateGraph(graph, built.feeds, { opset, exact: true });
  const random = new Random(seed + 1);
  const feeds = new Map(built.feeds);
  const seeds = outputs.map((value, index) => {
    const result = results[index];
    if (result === undefined || !isFloat(dtypeOf(value))) return undefined;
    const input = graph.addInput({ name: `grad.${value.name}`, type: value.type });
    feeds.set(input, randomLike(result, random));
    return input;
  });
  const pairs = outputs.flatMap((value, index) => {
    const gradient = seeds[index];
    return gradient === undefined ? [] : [{ value, gradient }];
  });
  const gradients = differentiate(graph, pairs, variables, opset);
  graph.setOutputs(gradients.filter((gradient) => gradient !== undefined));
  return { ...built, feeds, seeds, gradients };
}

/** The case of `spec` with its backward graph. */
export function buildBackward(spec: OpCase, naming: Naming, seed = 1): BackwardCase {
  return appendBackward(buildCase(spec, naming, seed), seed);
}

/** The gradient model of a case as a case of its own: a function of the operands and the gradients of the results. */
export function gradientCase(built: BuiltCase, seed = 1): BuiltCase {
  const { seeds, variables, ...backward } = appendBackward(built, seed);
  const outputs = [...backward.model.graph.outputs];
  for (const [index, output] of outputs.entries()) if (output.name === "") output.name = `d${index}`;
  return { ...backward, variables: [...variables, ...seeds.filter((value) => value !== undefined)], outputs };
}

/** The derivative of the results along a random direction of one operand, by the backward graph and by differences. */
export interface Projection {
  readonly variable: Value;
  readonly point: NDArray;
  readonly byGraph: number;
  readonly byDifferences: number;
  /** Sum of the absolute terms: what roundings are relative to. */
  readonly scale: number;
  readonly gradient: NDArray | undefined;
}

/** One projection for each variable of the case that `build` gives, all in double precision. */
export function projectGradients(build: () => BuiltCase, seed = 1): Projection[] {
  const forward = build();
  const backward = appendBackward(build(), seed);
  const { opset } = forward;
  const computed = evaluateGraph(backward.model.graph, backward.feeds, { opset, exact: true });
  const weights = backward.seeds.map((input) =>
    input === undefined ? undefined : backward.feeds.get(input),
  );
  const random = new Random(seed + 2);
  let next = 0;
  return forward.variables.map((variable, index) => {
    const point = forward.feeds.get(variable);
    if (point === undefined) throw new Error(`"${variable.name}" has no array`);
    const direction = randomLike(point, random);
    const at = (step: number): NDArray[] => {
      const moved = point.numbers.map((x, i) => x + step * (direction.numbers[i] ?? 0));
      const feeds = new Map(forward.feeds).set(variable, fromNumbers(point.dtype, point.shape, moved, true));
      return evaluateGraph(forward.model.graph, feeds, { opset, exact: true });
    };
    const [above, below] = [at(differenceStep), at(-differenceStep)];
    const terms = weights.flatMap((weight, output) =>
      Array.from(weight?.numbers ?? [], (g, i) => {
        const [high, low] = [above[output]?.numbers[i] ?? 0, below[output]?.numbers[i] ?? 0];
        return (g * (high - low)) / (2 * differenceStep);
      }),
    );
    const gradient = backward.gradients[index] === undefined ? undefined : computed[next++];
    const products = Array.from(gradient?.numbers ?? [], (g, i) => g * (direction.numbers[i] ?? 0));
    const scale = sum(products.map(Math.abs)) + sum(terms.map(Math.abs));
    return { variable, point, byGraph: sum(products), byDifferences: sum(terms), scale, gradient };
  });
}

/** The gradients of all float operands for gradients of the results that are all 1, rounded to their types. */
export function gradientAt(spec: OpCase): number[][] {
  const { model, opset, feeds, seeds, gradients, variables } = buildBackward(spec, "static");
  for (const input of seeds) {
    const array = input === undefined ? undefined : feeds.get(input);
    if (input === undefined || array === undefined) continue;
    feeds.set(input, fromNumbers(array.dtype, array.shape, new Float64Array(array.size).fill(1)));
  }
  const computed = evaluateGraph(model.graph, feeds, { opset });
  let next = 0;
  return variables.map((variable, index) => {
    if (gradients[index] === undefined) return new Array<number>(feeds.get(variable)?.size ?? 0).fill(0);
    return computed[next++]?.toNumbers() ?? [];
  });
}

function randomLike(array: NDArray, random: Random): NDArray {
  const values = Float64Array.from({ length: array.size }, () => 2 * random.uniform() - 1);
  return fromNumbers(array.dtype, array.shape, values);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
