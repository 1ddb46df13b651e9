/** Diagnostics of operators whose attributes or operands do not fit each other. */
import { defineDiagnostics } from "./define.ts";

/** A node as messages name it. */
export interface OperatorNode {
  readonly op: string;
  readonly name: string;
}

const describe = ({ op, name }: OperatorNode): string => (name === "" ? op : `node "${name}" (${op})`);

export const operatorErrors = defineDiagnostics({
  E_BAD_AXIS: (node: OperatorNode, axis: number, rank: number) => ({
    message: `${describe(node)} names an axis that its operand does not have`,
    place: describe(node),
    expected: rank === 0 ? "an operand with axes" : `an axis from ${-rank} to ${rank - 1}`,
    got: `axis ${axis} of an operand of rank ${rank}`,
    next: "correct the axis in the model, or the shape of what it is given",
  }),
});
