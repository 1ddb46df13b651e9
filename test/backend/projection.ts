/** The gradient of a whole model against central differences in double precision, and against the runtime. */
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { Random } from "../../src/data/random.ts";
import { isFloat, isLow } from "../../src/ir/dtype.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Value } from "../../src/ir/value.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { type Environment, type EvaluateOptions, evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { takesGradient } from "../../src/ops/record.ts";
import { opOf } from "../../src/ops/registry.ts";
import { isDeterministic } from "../../src/ops/traits.ts";
import { agrees, difference } from "../harness/compare.ts";
import {
  differenceStep,
  gradientTolerance,
  narrowest,
  runtimeTolerance,
  type Tolerance,
} from "../harness/tolerance.ts";
import { runIfPossible, Skipped } from "./session.ts";

type Arrays = ReadonlyMap<string, NDArray>;

/**
 * Differentiates every float output by every float input. "" where differences and the runtime agree, else what is wrong.
 *
 * @throws DiagnosticError where the gradient is refused; `Skipped` where nothing can be compared.
 */
export async function checkProjection(file: string, given: Arrays | string): Promise<string> {
  const source = readModel(file);
  const floats = (values: readonly Value[]): Value[] =>
    values.filter(({ tensorType }) => tensorType !== undefined && isFloat(tensorType.dtype));
  if (floats(source.graph.inputs).length === 0) throw new Skipped("no float inputs");
  if (floats(source.graph.outputs).length === 0) throw new Skipped("no float outputs");
  const wrt = floats(source.graph.inputs)
    .filter((input) => !isHost(input))
    .map(({ name }) => name);
  if (wrt.length === 0) throw new Skipped("no float inputs but sizes and the like");
  const backward = makeGradient(source, { wrt });
  if (typeof given === "string") throw new Skipped(given);
  const forward = readModel(file);
  runPasses(forward, "inline-functions,upgrade-opset,lift-constants,infer-shapes");
  if (![...forward.graph.allNodes()].every(isDeterministic)) throw new Skipped("it draws random numbers");
  if ([...forward.graph.allNodes()].some((node) => (opOf(node)?.quantized.holds?.length ?? 0) > 0))
    throw new Skipped("a rule holds scales constant that depend on the operand");
  const random = new Random(1);
  const variables = floats(forward.graph.inputs).filter((input) => given.has(input.name) && !isHost(input));
  const evaluate = (graph: Graph, arrays: Arrays, exact: boolean, opset: number): NDArray[] =>
    evaluateNamed(graph, arrays, { opset, exact });
  // Away from the kinks that round numbers are.
  const moved = new Map(given);
  for (const { name } of variables) {
    const array = given.get(name);
    if (array !== undefined) moved.set(name, shake(array, random));
  }
  const still = evaluate(forward.graph, given, true, forward.opset);
  const shaken = evaluate(forward.graph, moved, true, forward.opset);
  if (still.some(({ shape }, index) => shape.join() !== shaken[index]?.shape.join()))
    throw new Skipped("shapes of results jump with the elements of operands");
  const [feeds, results] = shaken.some(hasNaN) ? [given, still] : [moved, shaken];
  if (results.some(hasNaN)) throw new Skipped("a result is not a number");
  if (insideIsNaN(forward.graph, feeds, forward.opset)) throw new Skipped("something inside is not a number");
  const all = new Map(feeds);
  const upstream = forward.graph.outputs.map(({ name }, index) => {
    const input = backward.upstream[name];
    const result = results[index];
    if (input === undefined || result === undefined) return undefined;
    // Infinities do not change by differences, while rules go on as if they did.
    const drawn = randomLike(result, random);
    const array = fromNumbers(
      drawn.dtype,
      drawn.shape,
      drawn.numbers.map((g, i) => (Number.isFinite(result.numbers[i]) ? g : 0)),
    );
    all.set(input, array);
    return array;
  });
  const names = backward.model.graph.outputs.map(({ name }) => name);
  const exact = evaluate(backward.model.graph, all, true, backward.model.opset);
  for (const variable of variables) {
    const point = feeds.get(variable.name);
    const gradient = exact[names.indexOf(backward.gradients[variable.name] ?? "")];
    if (point === undefined || gradient === undefined) return `no gradient of ${variable.name}`;
    if (gradient.shape.join() !== point.shape.join())
      return `gradient of shape [${gradient.shape}] instead of [${point.shape}]`;
    const direction = randomLike(point, random);
    const at = (step: number): NDArray[] => {
      const values = point.numbers.map((x, i) => x + step * (direction.numbers[i] ?? 0));
      const arrays = new Map(feeds).set(variable.name, fromNumbers(point.dtype, point.shape, values, true));
      return evaluate(forward.graph, arrays, true, forward.opset);
    };
    const terms = differences(at, differenceStep, results, upstream);
    const products = Array.from(gradient.numbers, (g, i) => g * (direction.numbers[i] ?? 0));
    const scale = sum(products.map(Math.abs)) + sum(terms.map(Math.abs));
    const { absolute, relative } = gradientTolerance(point.dtype);
    const tolerance = { absolute: absolute + relative * scale, relative: 0 };
    const [byGraph, byDifferences] = [sum(products), sum(terms)];
    if (agrees(byGraph, byDifferences, tolerance)) continue;
    const finer = sum(differences(at, differenceStep / 4, results, upstream));
    if (!agrees(finer, byDifferences, tolerance))
      throw new Skipped("a kink lies within the step of differences");
    return `the gradient of ${variable.name} says ${byGraph}, differences say ${byDifferences}`;
  }
  return await checkInRuntime(
    encodeModel(backward.model),
    all,
    evaluate(backward.model.graph, all, false, backward.model.opset),
  );
}

/** The outputs of a model. @throws Skipped where the evaluator leaves an operator to the runtime. */
export function evaluateOrSkip({ graph, opset }: Model, arrays: Arrays): NDArray[] {
  return evaluateNamed(graph, arrays, { opset });
}

function evaluateNamed(graph: Graph, arrays: Arrays, options: EvaluateOptions): NDArray[] {
  const environment: Environment = new Map();
  for (const input of graph.inputs) {
    const array = arrays.get(input.name);
    if (array !== undefined) environment.set(input, array);
  }
  try {
    return evaluateGraph(graph, environment, options);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes("the evaluator cannot run")) throw new Skipped(message);
    throw error;
  }
}

/** The terms of the derivative along the way that `at` goes. */
function differences(
  at: (step: number) => readonly NDArray[],
  step: number,
  results: readonly NDArray[],
  weights: readonly (NDArray | undefined)[],
): number[] {
  const [above, below] = [at(step), at(-step)];
  return weights.flatMap((weight, output) => {
    const [high, low, here] = [above[output], below[output], results[output]];
    if (weight === undefined || high === undefined || low === undefined) return [];
    if (high.size !== here?.size || low.size !== here.size)
      throw new Skipped("shapes of results jump with the elements of operands");
    return Array.from(weight.numbers, (g, i) => {
      const [up, down] = [high.numbers[i] ?? 0, low.numbers[i] ?? 0];
      if (Number.isNaN(up) || Number.isNaN(down))
        throw new Skipped("a result beside the point is not a number");
      return g === 0 ? 0 : (g * (up - down)) / (2 * step);
    });
  });
}

async function checkInRuntime(bytes: Uint8Array, feeds: Arrays, wanted: readonly NDArray[]): Promise<string> {
  const got = await runIfPossible(bytes, feeds);
  const precision = narrowest([...feeds.values()].map(({ dtype }) => dtype));
  for (const [index, expected] of wanted.entries()) {
    const actual = got[index];
    if (actual === undefined) return `output ${index} of the gradient is missing`;
    const tolerance: Tolerance = runtimeTolerance(
      isFloat(expected.dtype) ? (precision ?? expected.dtype) : expected.dtype,
    );
    // Sums of many terms round more often than those of operator tests.
    const bound = { absolute: tolerance.absolute * largest(expected), relative: tolerance.relative };
    const found = difference(actual, expected, bound);
    if (found !== undefined) return `output ${index} of the gradient in the runtime: ${found}`;
  }
  return "";
}

/** The largest size of a finite element, at least 1: what roundings of sums that cancel are relative to. */
export function largest(array: NDArray): number {
  if (!isFloat(array.dtype)) return 1;
  return array.numbers.reduce((top, x) => (Number.isFinite(x) ? Math.max(top, Math.abs(x)) : top), 1);
}

/** Whether an input is read as sizes and constants only, which are no variables. */
function isHost(input: Value): boolean {
  return [...input.uses].every((use) => use.kind === "operand" && !takesGradient(opOf(use.node), use.index));
}

/** Moves elements off the kinks that round numbers are, by more than a rounding of the type; what is not finite becomes so. */
function shake(array: NDArray, random: Random): NDArray {
  if (!isFloat(array.dtype)) return array;
  const step = isLow(array.dtype) ? 0.1 : 0.02;
  const values = array.numbers.map((x) => (Number.isFinite(x) ? x : 1) + step * (2 * random.uniform() - 1));
  return fromNumbers(array.dtype, array.shape, values);
}

/** Whether the forward run passes through a NaN, which rules carry on where later operators drop it. */
function insideIsNaN(graph: Graph, arrays: Arrays, opset: number): boolean {
  const environment: Environment = new Map();
  for (const input of graph.inputs) {
    const array = arrays.get(input.name);
    if (array !== undefined) environment.set(input, array);
  }
  const outputs = [...graph.outputs];
  const values = [...graph.nodes()].flatMap((node) =>
    node.outputs.filter((output) => output?.isUsed === true && output.tensorType !== undefined),
  );
  graph.setOutputs(values.filter((value) => value !== null));
  const found = evaluateGraph(graph, environment, { opset, exact: true }).some(hasNaN);
  graph.setOutputs(outputs);
  return found;
}

function hasNaN(array: NDArray): boolean {
  return isFloat(array.dtype) && array.numbers.some(Number.isNaN);
}

function randomLike(array: NDArray, random: Random): NDArray {
  const values = Float64Array.from({ length: array.size }, () => 2 * random.uniform() - 1);
  return fromNumbers(array.dtype, array.shape, values);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
