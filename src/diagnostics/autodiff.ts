/** Diagnostics of reverse-mode differentiation. */
import { defineDiagnostics } from "./define.ts";

/** A node as messages name it. */
export interface NodePlace {
  readonly op: string;
  readonly name: string;
}

const describe = ({ op, name }: NodePlace): string => (name === "" ? op : `node "${name}" (${op})`);

export const autodiffErrors = defineDiagnostics({
  E_NO_GRADIENT: (node: NodePlace, reason: string, path: readonly string[]) => ({
    message: `${describe(node)} lies between what is differentiated and what it is differentiated by, and has no gradient`,
    place: path.join(" -> "),
    expected: "an operator with a gradient rule",
    got: reason,
    next: "choose other targets or outputs, or add a gradient to the operator's record in src/ops/families/",
  }),
  E_UNKNOWN_OPERATOR: (node: NodePlace, domain: string, path: readonly string[]) => ({
    message: `${describe(node)} lies on the way of the gradient and its operator is not known`,
    place: path.join(" -> "),
    expected: "an operator of ai.onnx or a com.microsoft one that we know",
    got: `${domain === "" ? "ai.onnx" : domain}.${node.op}`,
    next: "inline or replace the node, or add a record in src/ops/families/",
  }),
  E_UNKNOWN_TYPE: (node: NodePlace, value: string) => ({
    message: `the rank of "${value}", which ${describe(node)} reads or makes, cannot be inferred, and the gradient needs it`,
    place: describe(node),
    expected: "a known element type and rank",
    got: "neither from shape inference nor from the file",
    next: "run ONNX shape inference on the file first, or add value_info for this value",
  }),
});
