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
  E_BAD_ATTRIBUTE: (node: OperatorNode, name: string, expected: string, got: string) => ({
    message: `${describe(node)} has an attribute "${name}" that does not fit`,
    place: describe(node),
    expected,
    got,
    next: "check the model with onnx.checker, and correct the node",
  }),
  E_BAD_OPERAND: (node: OperatorNode, name: string, expected: string, got: string) => ({
    message: `${describe(node)} has an operand "${name}" that does not fit`,
    place: describe(node),
    expected,
    got,
    next: "correct the operand in the model, or the shape of what it is given",
  }),
  E_BROADCAST: (node: OperatorNode, shapes: readonly string[]) => ({
    message: `${describe(node)} has operands whose shapes do not go together`,
    place: describe(node),
    expected: "sizes that are equal or 1, axis by axis from the last",
    got: shapes.join(" and "),
    next: "correct the operands in the model, or the shapes of what they are given",
  }),
  E_DECLARED_TYPE: (node: OperatorNode, output: string, declared: string, found: string) => ({
    message: `the model declares its output "${output}" as another type than ${describe(node)} makes`,
    place: `output "${output}"`,
    expected: `${found}, which follows from the operands and attributes`,
    got: declared,
    next: "correct the declared type of the output, or what the node is given",
  }),
  E_IMPOSSIBLE_SIZE: (node: OperatorNode, got: string) => ({
    message: `${describe(node)} would make a tensor of an impossible size`,
    place: describe(node),
    expected: "a size of 0 or more along every axis",
    got,
    next: "correct the attributes of the node, or the operands that the size follows from",
  }),
  E_OPERATOR_COUNT: (node: OperatorNode, what: string, most: number, got: number) => ({
    message: `${describe(node)} has more ${what} than its operator takes`,
    place: describe(node),
    expected: `at most ${most}`,
    got: String(got),
    next: "check the model with onnx.checker, and correct the node",
  }),
  E_RANDOM_BODY: (node: OperatorNode, inner: OperatorNode) => ({
    message: `${describe(inner)} draws random numbers in a body of ${describe(node)}, whose gradient would need the same draw again`,
    place: describe(node),
    expected: "a draw whose shape is the same in every run of the body, in that body itself",
    got: "a draw of unknown shape, or one in a body inside the body",
    next: "draw before the node, and let the body read what was drawn",
  }),
  E_OPERATOR_FORM: (node: OperatorNode, found: string, expected: string) => ({
    message: `${describe(node)} is used in a form whose arithmetic is not known here`,
    place: describe(node),
    expected,
    got: found,
    next: "export or optimize the model without this option, or keep what is trained behind the node",
  }),
  E_SEQUENCE_STATE: (node: OperatorNode, sequence: string) => ({
    message: `the gradient of ${describe(node)} needs the sequence "${sequence}" as it was before each iteration, and sequences of sequences do not exist`,
    place: describe(node),
    expected: "a sequence that the body only adds to, or reads without changing it",
    got: "one that is carried through the iterations and read in them",
    next: "read another sequence, which is made before the loop, or carry tensors",
  }),
  E_UNKNOWN_SIZE: (node: OperatorNode, what: string) => ({
    message: `the gradient of ${describe(node)} needs ${what}, and no shape in the model says it`,
    place: describe(node),
    expected: "a size that is known before the model runs",
    got: "one that is known at run time only",
    next: "give the model fixed sizes there, or add value_info for the operands of the node",
  }),
});
