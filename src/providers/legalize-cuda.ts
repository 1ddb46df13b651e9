/** Brings a graph to forms that ONNX Runtime's CUDA provider takes whole, or says which node it does not. */
import { providerErrors } from "../diagnostics/providers.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { rankOf } from "../ops/facts.ts";
import { opOf } from "../ops/registry.ts";
import { versionAt } from "../ops/versions.ts";
import { cudaTypes, isListed } from "./cuda-kernels.ts";
import { deviceOperands, hostValues } from "./host-values.ts";

/** What was done. */
export interface Legalized {
  /** Sizes that are counted on the device instead of being copied there. */
  readonly counted: number;
}

/**
 * Sizes that a kernel would read as data are counted on the device, so that nothing is copied inside a step; then every
 * node that is not arithmetic on sizes must have a kernel for its version and types, beyond the table also in the
 * forms that the provider declines.
 *
 * @throws DiagnosticError `E_CUDA_NO_KERNEL` naming node, version and types.
 */
export function legalizeCuda(graph: Graph, opset: number): Legalized {
  const counted = countSizesOnDevice(graph, opset);
  const host = hostValues(graph);
  for (const node of graph.allNodes()) if (!isHost(node, host)) requireKernel(node, opset);
  return { counted };
}

function isHost(node: Node, host: ReadonlySet<Value>): boolean {
  return node.outputs.every((output) => output === null || host.has(output));
}

/**
 * A size that is data to a kernel: the number of elements of a vector of ones with that size, which only the device ever
 * sees. The vector's length is read on the CPU, where the size is.
 */
function countSizesOnDevice(graph: Graph, opset: number): number {
  const host = hostValues(graph);
  const onDevice = new Map<Value, Value>();
  for (const node of graph.nodes()) {
    if (isHost(node, host) || node.op === "Range") continue;
    for (const index of deviceOperands(node)) {
      const value = node.input(index);
      if (value === undefined || !host.has(value)) continue;
      const known = onDevice.get(value) ?? countedOnDevice(graph, value, node, opset);
      onDevice.set(value, known);
      node.setInput(index, known);
    }
  }
  return onDevice.size;
}

function countedOnDevice(graph: Graph, size: Value, reader: Node, opset: number): Value {
  const b = new OpBuilder({ graph, before: reader }, opset);
  b.source = reader;
  const elements = size.tensorType?.shape?.reduce<number | undefined>(
    (product, dim) => (product === undefined || typeof dim !== "number" ? undefined : product * dim),
    1,
  );
  if (elements !== 1 || size.tensorType?.dtype !== "int64") {
    throw providerErrors.E_CUDA_COPY({ op: reader.op, name: reader.name }, size.name);
  }
  const length = b.reshape(size, [1]);
  const count = b.reduceSum(b.expand(b.int(1), length), [0], false);
  return rankOf(size) === 0 ? count : b.reshape(count, Array<number>(rankOf(size)).fill(1));
}

function requireKernel(node: Node, opset: number): void {
  const op = opOf(node);
  const place = { op: node.op, name: node.name };
  const version = op === undefined ? opset : (versionAt(op.versions, opset) ?? opset);
  const types = cudaTypes(node.domain, node.op, version);
  if (types === undefined) throw providerErrors.E_CUDA_NO_KERNEL(place, `${node.op}-${version}`, "no kernel");
  for (const index of deviceOperands(node)) {
    const dtype = node.input(index)?.tensorType?.dtype;
    if (dtype !== undefined && !isListed(dtype, types)) {
      throw providerErrors.E_CUDA_NO_KERNEL(place, `${node.op}-${version}`, `no kernel for ${dtype}`);
    }
  }
  const declined = declinedForm(node);
  if (declined !== undefined) throw providerErrors.E_CUDA_NO_KERNEL(place, `${node.op}-${version}`, declined);
}

/** Forms that the provider declines although it has a kernel (seen in ONNX Runtime 1.30). */
function declinedForm(node: Node): string | undefined {
  const autoPad = node.string("auto_pad", "NOTSET");
  if ((node.op === "ArgMax" || node.op === "ArgMin") && node.int("select_last_index", 0) === 1)
    return "select_last_index=1 is declined";
  if (node.op === "ConvTranspose" && autoPad.startsWith("SAME")) return `auto_pad=${autoPad} is declined`;
  if (node.op === "GRU" && node.int("linear_before_reset", 0) === 0)
    return "linear_before_reset=0 is declined";
  if (node.op === "LSTM" && node.input(7) !== undefined) return "peepholes are declined";
  if (node.op === "BatchNormalization" && node.int("training_mode", 0) === 1) return "training_mode=1 throws";
  return undefined;
}
