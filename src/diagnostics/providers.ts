/** Diagnostics of bringing graphs to what an execution provider takes. */

import type { NodePlace } from "./autodiff.ts";
import { defineDiagnostics } from "./define.ts";

const describe = ({ op, name }: NodePlace): string => (name === "" ? op : `node "${name}" (${op})`);

export const providerErrors = defineDiagnostics({
  E_CUDA_NO_KERNEL: (node: NodePlace, operator: string, reason: string) => ({
    message: `${describe(node)} would fall back to the CPU: ${reason}`,
    place: describe(node),
    expected: `a CUDA kernel of ONNX Runtime 1.30 for ${operator}`,
    got: reason,
    next: "compile with --provider cpu, or export the model without this operator",
  }),
  E_CUDA_COPY: (node: NodePlace, value: string) => ({
    message: `${describe(node)} reads "${value}", a list of sizes, as data, which would be copied to the device in each step`,
    place: describe(node),
    expected: "one size, or sizes that are only read as a shape",
    got: "several sizes as data",
    next: "compile with --provider cpu, or export the model with fixed sizes",
  }),
});
