/** Carries new weights from the unfused form of a graph back to the graph as its file has it. */
import { byteLength } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import type { PackedPart } from "../rewrite/unpack-attention.ts";

/** The initializers of a graph with their tensors. */
export function weightsOf(graph: Graph): ReadonlyMap<Value, Tensor> {
  const tensors = new Map<Value, Tensor>();
  for (const value of graph.initializers) {
    if (value.initializer !== undefined) tensors.set(value, value.initializer);
  }
  return tensors;
}

/**
 * Puts what changed in `unfused` since `before` into `fused`, whose tensors are the same objects or hold the parts.
 *
 * @returns false where a weight has no place in the fused form, such as the copy of one that two modules share.
 */
export function fuseWeights(
  fused: Graph,
  unfused: Graph,
  before: ReadonlyMap<Value, Tensor>,
  parts: readonly PackedPart[],
): boolean {
  const holders = new Map<Tensor, Value>();
  for (const [value, tensor] of weightsOf(fused)) holders.set(tensor, value);
  const changes = new Map<Value, Tensor>();
  const pieces = new Map<Tensor, NewPart[]>();
  for (const [value, tensor] of weightsOf(unfused)) {
    const old = before.get(value);
    if (tensor === old) continue;
    const part = parts.find((each) => each.value === value);
    const holder = holders.get(part?.whole ?? old ?? tensor);
    if (holder === undefined) return false;
    if (part === undefined) changes.set(holder, tensor);
    else pieces.set(part.whole, [...(pieces.get(part.whole) ?? []), { tensor, start: part.start }]);
  }
  for (const [whole, list] of pieces) {
    const holder = holders.get(whole);
    if (holder !== undefined) changes.set(holder, packed(whole, list));
  }
  for (const [holder, tensor] of changes) holder.initializer = tensor;
  return true;
}

interface NewPart {
  readonly tensor: Tensor;
  readonly start: number;
}

/** A packed matrix or vector with new parts, computed when it is read. */
function packed(whole: Tensor, parts: readonly NewPart[]): Tensor {
  const { dtype, dims, name } = whole;
  const width = byteLength(dtype, 1);
  const [rows, columns] = dims.length === 1 ? [1, dims[0] ?? 0] : [dims[0] ?? 0, dims[1] ?? 0];
  const compute = (): Uint8Array => {
    const bytes = Uint8Array.from(whole.bytes());
    for (const { tensor, start } of parts) {
      const from = tensor.bytes();
      const count = tensor.dims[0] ?? 0;
      // A part of a matrix is transposed: `count` rows, each a column of the whole.
      for (let column = 0; column < count; column++) {
        for (let row = 0; row < rows; row++) {
          const at = (column * rows + row) * width;
          bytes.set(from.subarray(at, at + width), (row * columns + start + column) * width);
        }
      }
    }
    return bytes;
  };
  return new Tensor(dtype, dims, { kind: "lazy", compute }, { name });
}
