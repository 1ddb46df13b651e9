/** Equations of Einsum: parsing, shapes and evaluation (ONNX Einsum, opset 12). */
import { type DiagnosticError, InternalError } from "../../diagnostics/define.ts";
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import { broadcastShapes, countElements, type Shape } from "../../ir/shape.ts";
import { fromNumbers, type NDArray, stridesOf } from "../ndarray.ts";
import { boxOffsets, countUp } from "./rearrange.ts";

/**
 * Labels of the axes of each operand and of the result. Axes under an ellipsis have labels of their own, such
 * as `0`.
 */
export interface Equation {
  readonly operands: readonly (readonly string[])[];
  readonly result: readonly string[];
}

/**
 * Reads an equation for operands of the given ranks. An ellipsis stands for the axes that letters leave over,
 * which are aligned at their ends; without `->` the result has the ellipsis and then the letters that stand
 * once, in order.
 *
 * @throws DiagnosticError E_BAD_ATTRIBUTE where letters and ranks do not fit.
 */
export function parseEquation(node: OperatorNode, text: string, ranks: readonly number[]): Equation {
  const refuse = (got: string): DiagnosticError =>
    operatorErrors.E_BAD_ATTRIBUTE(
      node,
      "equation",
      "one term for each operand, with a letter for each axis",
      got,
    );
  const [left = "", right] = text.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (terms.length !== ranks.length)
    throw refuse(`"${text}" has ${terms.length} terms for ${ranks.length} operands`);
  const hidden = terms.map((term, i) => (term.includes("...") ? (ranks[i] ?? 0) - (term.length - 3) : 0));
  const most = Math.max(0, ...hidden);
  const expand = (term: string, count: number): string[] => {
    const [before = "", after] = term.split("...");
    if (after === undefined) return [...before];
    return [...before, ...countUp(count).map((axis) => String(most - count + axis)), ...after];
  };
  const operands = terms.map((term, i) => expand(term, hidden[i] ?? 0));
  operands.forEach((labels, i) => {
    if (labels.length === ranks[i]) return;
    throw refuse(`term "${terms[i]}" of "${text}" for an operand of rank ${ranks[i]}`);
  });
  if (right !== undefined) return { operands, result: expand(right, most) };
  const letters = [...left.replaceAll(/[.,]/g, "")];
  const single = letters.filter((letter) => letters.indexOf(letter) === letters.lastIndexOf(letter)).sort();
  return { operands, result: [...countUp(most).map(String), ...single] };
}

/** Writes an equation with letters only, which every label gets one of. */
export function printEquation({ operands, result }: Equation): string {
  const labels = [...new Set([...operands.flat(), ...result])];
  const taken = new Set(labels);
  const free = [..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"].filter(
    (letter) => !taken.has(letter),
  );
  const names = new Map(labels.map((label) => [label, /^[a-zA-Z]$/.test(label) ? label : free.shift()]));
  const print = (term: readonly string[]): string =>
    term
      .map((label) => {
        const name = names.get(label);
        if (name === undefined) throw new InternalError("an Einsum of more than 52 axes");
        return name;
      })
      .join("");
  return `${operands.map(print).join()}->${print(result)}`;
}

/** Size of each label: of all axes that have it, those of size 1 broadcast. */
export function labelSizes({ operands }: Equation, shapes: readonly Shape[]): Map<string, Dim> {
  const sizes = new Map<string, Dim>();
  operands.forEach((labels, i) => {
    labels.forEach((label, axis) => {
      const dim = shapes[i]?.[axis] ?? unknownDim();
      const known = sizes.get(label);
      sizes.set(label, known === undefined ? dim : (broadcastShapes([known], [dim])?.[0] ?? dim));
    });
  });
  return sizes;
}

/** Sums products over every label that the result does not have. */
export function evaluateEinsum(equation: Equation, arrays: readonly NDArray[], exact: boolean): NDArray {
  const sizes = labelSizes(
    equation,
    arrays.map(({ shape }) => shape),
  );
  const sizeOf = (label: string): number => Number(sizes.get(label) ?? 1);
  const summed = [...sizes.keys()].filter((label) => !equation.result.includes(label));
  const shape = equation.result.map(sizeOf);
  const [cells, terms] = [countElements(shape), countElements(summed.map(sizeOf))];
  const offsets = arrays.map((array, i) => {
    const strides = stridesOf(array.shape);
    const labels = equation.operands[i] ?? [];
    // A label that stands twice walks a diagonal.
    const axis = (label: string): number[] => {
      const step = labels.reduce(
        (sum, other, at) => sum + (other === label && array.shape[at] !== 1 ? (strides[at] ?? 0) : 0),
        0,
      );
      return countUp(sizeOf(label)).map((index) => index * step);
    };
    return {
      outer: boxOffsets(equation.result.map(axis)),
      inner: boxOffsets(summed.map(axis)),
      data: array.toNumbers(),
    };
  });
  const sums = Float64Array.from({ length: cells }, (_, cell) => {
    let sum = 0;
    for (let term = 0; term < terms; term++) {
      let product = 1;
      for (const { outer, inner, data } of offsets)
        product *= data[(outer[cell] ?? 0) + (inner[term] ?? 0)] ?? 0;
      sum += product;
    }
    return sum;
  });
  return fromNumbers(arrays[0]?.dtype ?? "float32", shape, sums, exact);
}
