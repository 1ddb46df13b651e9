/** Refuses sliding windows that have another number of axes than their operand, or hold more than a runtime takes. */
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import { countElements } from "../../ir/shape.ts";

/** Attributes of windows that are lists. */
interface WindowLists {
  readonly kernel_shape?: readonly number[] | undefined;
  readonly pads?: readonly number[] | undefined;
  readonly strides?: readonly number[] | undefined;
  readonly dilations?: readonly number[] | undefined;
  readonly output_padding?: readonly number[] | undefined;
}

/** Most elements of one window of a pool: its gradient makes a kernel of so many ones. */
const largestWindow = 2 ** 22;

/** @throws DiagnosticError `E_BAD_ATTRIBUTE` where a list has not one number for each of `axes` axes, and pads two. */
export function requireWindowAxes(node: OperatorNode, lists: WindowLists, axes: number): void {
  const { kernel_shape, strides, dilations, pads, output_padding } = lists;
  for (const [name, list] of Object.entries({ kernel_shape, strides, dilations, output_padding, pads })) {
    const wanted = name === "pads" ? 2 * axes : axes;
    if (list === undefined || list.length === wanted) continue;
    const expected = `${wanted} numbers, of an operand with ${axes} spatial axes`;
    throw operatorErrors.E_BAD_ATTRIBUTE(node, name, expected, `[${list.slice(0, 16)}]`);
  }
}

/**
 * Padding of a pool is smaller than its windows, as runtimes demand, so that each window holds an element.
 *
 * @throws DiagnosticError `E_BAD_ATTRIBUTE`.
 */
export function requirePoolWindow(
  node: OperatorNode,
  kernel: readonly number[],
  pads: readonly number[] | undefined,
): void {
  if (countElements(kernel) > largestWindow) {
    const expected = `at most ${largestWindow} elements`;
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "kernel_shape", expected, `[${kernel}]`);
  }
  if (pads?.some((pad, at) => pad >= (kernel[at % kernel.length] ?? 1)))
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "pads", `less than the windows, [${kernel}]`, `[${pads}]`);
}
