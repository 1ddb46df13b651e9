/** `checkOp`: what every row of an operator test is checked for. */
import { describe, expect, test } from "vitest";
import { type Dim, isUnknown, substituteDim, symbol, symbolsOf } from "../../src/ir/dim.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Value } from "../../src/ir/value.ts";
import { dtypeOf, shapeOf } from "../../src/ops/facts.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { agrees, difference } from "./compare.ts";
import { buildBackward, gradientCase, projectGradients } from "./gradient.ts";
import { type BuiltCase, buildCase, evaluateCase, type Naming, type OpCase } from "./op-case.ts";
import { runModel } from "./runtime.ts";
import { gradientTolerance, narrowest, runtimeTolerance } from "./tolerance.ts";

/** What a row may leave out, each with its reason, and what it asks for beyond the rest. */
export interface CheckOptions {
  /** Why the stock CPU runtime cannot run the node. */
  readonly noRuntime?: string;
  /** Why it cannot run the gradient graph. */
  readonly noGradientRuntime?: string;
  /** Why no gradient is checked, such as a kink at the point. */
  readonly noGradient?: string;
  /** Ways in which dimensions are known; static and shared names where it is left out. */
  readonly namings?: readonly Naming[];
  /** Whether the gradient graph is differentiated once more. */
  readonly twice?: boolean;
}

/**
 * Checks one operator on one set of operands: inferred types against evaluated arrays, the evaluator against the
 * runtime, gradients against central differences, and the gradient graph in the runtime against the evaluator.
 */
export function checkOp(description: string, spec: OpCase, options: CheckOptions = {}): void {
  const { noRuntime, noGradientRuntime, noGradient, namings = ["static", "shared"], twice } = options;
  describe(`${spec.op}: ${description}`, () => {
    test.each(namings)("types with %s dimensions", (naming) => {
      checkTypes(buildCase(spec, naming));
    });
    test.skipIf(noRuntime !== undefined)("runtime agrees with the evaluator", async () => {
      await checkRuntime(buildCase(spec, "static"));
    });
    if (noGradient !== undefined || !carriesGradient(spec)) return;
    test.each(namings)("gradient with %s dimensions", (naming) => {
      checkGradient(() => buildCase(spec, naming));
    });
    const skipped = noRuntime ?? noGradientRuntime;
    test.skipIf(skipped !== undefined).each(namings)(
      "runtime agrees on the gradient with %s dimensions",
      async (naming) => {
        const backward = buildBackward(spec, naming);
        if (backward.model.graph.outputs.length > 0) await checkRuntime(backward);
      },
    );
    if (twice !== true) return;
    test("gradient of the gradient", () => {
      checkGradient(() => gradientCase(buildCase(spec, "shared")));
    });
  });
}

/** Whether a float operand and a float result are there to differentiate. */
function carriesGradient(spec: OpCase): boolean {
  const { variables, outputs } = buildCase(spec, "static");
  return variables.length > 0 && outputs.some((output) => isFloat(dtypeOf(output)));
}

/** Compares the inferred types of the results with the arrays that the evaluator gives. */
export function checkTypes(built: BuiltCase): void {
  const results = evaluateCase(built);
  built.outputs.forEach((output, index) => {
    checkType(output, results[index], built.sizes);
  });
}

/** Compares the gradient of every variable with central differences. */
export function checkGradient(build: () => BuiltCase): void {
  for (const { variable, point, byGraph, byDifferences, scale, gradient } of projectGradients(build)) {
    const { name } = variable;
    if (gradient !== undefined) {
      expect(gradient.shape, `shape of the gradient of ${name}`).toEqual(point.shape);
      expect(gradient.dtype, `type of the gradient of ${name}`).toBe(point.dtype);
    }
    const { absolute, relative } = gradientTolerance(point.dtype);
    const agreed =
      Number.isFinite(byGraph) &&
      agrees(byGraph, byDifferences, { absolute: absolute + relative * scale, relative: 0 });
    expect(agreed, `${name}: gradient says ${byGraph}, differences say ${byDifferences}`).toBe(true);
  }
}

/** Compares what the runtime gives with what the evaluator gives. */
export async function checkRuntime(built: BuiltCase): Promise<void> {
  const wanted = evaluateCase(built);
  const got = await runModel(built.model, built.feeds);
  const given = [...built.feeds.values()].map(({ dtype }) => dtype);
  built.model.graph.outputs.forEach((output, index) => {
    const [actual, expected] = [got[index], wanted[index]];
    if (actual === undefined || expected === undefined) throw new Error(`output ${index} is missing`);
    const tolerance = runtimeTolerance(
      isFloat(expected.dtype) ? (narrowest([...given, expected.dtype]) ?? expected.dtype) : expected.dtype,
    );
    expect(difference(actual, expected, tolerance), output.name).toBeUndefined();
  });
}

function checkType(value: Value, array: NDArray | undefined, sizes: ReadonlyMap<string, number>): void {
  if (array === undefined) throw new Error(`${value.name} was not evaluated`);
  expect(dtypeOf(value), `${value.name}: type`).toBe(array.dtype);
  const lookup = (name: string): number | undefined => sizes.get(name);
  const shape = shapeOf(value).map((dim, axis) => {
    const known = substituteDim(dim, lookup);
    return dependsOnUnknown(known) ? array.shape[axis] : known;
  });
  expect(shape, `${value.name}: shape`).toEqual(array.shape);
  const elements = array.toNumbers();
  value.content?.forEach((element, index) => {
    const known = substituteDim(element, lookup);
    if (!dependsOnUnknown(known)) expect(known, `${value.name}[${index}]`).toBe(elements[index]);
  });
}

/** Whether a dimension is made of something that no rule could know. */
function dependsOnUnknown(dim: Dim): boolean {
  return [...symbolsOf(dim)].some((name) => isUnknown(symbol(name)));
}
