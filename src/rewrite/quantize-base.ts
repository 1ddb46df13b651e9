/** Stores frozen matrices as 8- or 4-bit numbers and multiplies by these; gradients go through what the numbers mean. */
import { constantOf, inlineTensor } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { fromTensor } from "../ops/ndarray.ts";
import { removeDead } from "./dead.ts";

/** What quantising did. */
export interface QuantizeReport {
  /** Products that read numbers now. */
  readonly products: number;
  /** Root of the squared error over that of the weights. */
  readonly relativeError: number;
}

/** Matrices with a shorter side than this are left as they are: there is nothing to save. */
const smallest = 64;

/** Elements that share a scale, of 4-bit numbers. */
const blockSize = 32;

/** A matrix (in, out). */
interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly elements: Float64Array;
}

/** Sums of squares that the error of a matrix is measured by. */
interface ErrorSums {
  error: number;
  weight: number;
}

/** Numbers and scales, and how far off they are. */
interface Quantized {
  readonly parts: readonly Tensor[];
  readonly sums: ErrorSums;
}

/** What was computed before, since training and evaluation graphs read the same weights. */
const computed: Readonly<Record<4 | 8, WeakMap<Tensor, Quantized>>> = { 4: new WeakMap(), 8: new WeakMap() };

function quantize(tensor: Tensor, bits: 4 | 8): Quantized {
  const known = computed[bits].get(tensor);
  if (known !== undefined) return known;
  const [rows = 0, columns = 0] = tensor.dims;
  const matrix = { rows, columns, elements: fromTensor(tensor).numbers };
  const sums: ErrorSums = { error: 0, weight: 0 };
  const quantized = { parts: (bits === 8 ? byColumns : byBlocks)(matrix, sums), sums };
  computed[bits].set(tensor, quantized);
  return quantized;
}

/**
 * Replaces products with a constant float32 matrix on the right. A matrix that several products read is stored once.
 *
 * 8 bits: DynamicQuantizeMatMul with a scale for each column, of which 7 are used, since processors without VNNI add pairs
 * of products in 16 bits. 4 bits: MatMulNBits with a scale for each block of 32 along the axis that is summed over.
 */
export function quantizeBase(graph: Graph, opset: number, bits: 4 | 8): QuantizeReport {
  const total: ErrorSums = { error: 0, weight: 0 };
  const stored = new Map<Value, readonly Value[]>();
  let products = 0;
  for (const node of [...graph.nodes()]) {
    const weight = frozenMatrix(node, bits);
    const [x, tensor] = [node.input(0), constantOf(weight)];
    if (weight === undefined || tensor === undefined || x === undefined) continue;
    const b = new OpBuilder({ graph, before: node }, opset);
    b.source = node;
    const numbers = stored.get(weight) ?? store(b, weight, quantize(tensor, bits), total);
    stored.set(weight, numbers);
    const [K = 0, N = 0] = tensor.dims;
    const attributes = bits === 8 ? {} : { K, N, bits, block_size: blockSize };
    const op = bits === 8 ? "DynamicQuantizeMatMul" : "MatMulNBits";
    replaceValue(node.output(0), b.op(op, [x, ...numbers], attributes, { domain: "com.microsoft" }));
    removeDead(node);
    products += 1;
  }
  return { products, relativeError: total.weight === 0 ? 0 : Math.sqrt(total.error / total.weight) };
}

function store(b: OpBuilder, weight: Value, { parts, sums }: Quantized, total: ErrorSums): Value[] {
  total.error += sums.error;
  total.weight += sums.weight;
  return parts.map((part, index) =>
    b.constant(part, `${weight.name}_${index === 0 ? "quantized" : "scale"}`),
  );
}

function frozenMatrix(node: Node, bits: 4 | 8): Value | undefined {
  const weight = node.input(1);
  const tensor: Tensor | undefined = constantOf(weight);
  if (node.op !== "MatMul" || node.domain !== "" || tensor?.dtype !== "float32") return undefined;
  const [rows = 0, columns = 0] = tensor.dims;
  if (tensor.dims.length !== 2 || Math.min(rows, columns) < smallest) return undefined;
  return bits === 4 && rows % blockSize !== 0 ? undefined : weight;
}

/** int8 numbers (in, out) and float32 scales (out). */
function byColumns({ rows, columns, elements }: Matrix, sums: ErrorSums): Tensor[] {
  const largest = 63;
  const scales = new Float32Array(columns);
  for (let at = 0; at < elements.length; at++) {
    const column = at % columns;
    scales[column] = Math.max(scales[column] ?? 0, Math.abs(elements[at] ?? 0) / largest);
  }
  const numbers = new Int8Array(elements.length);
  for (let at = 0; at < elements.length; at++) {
    const [element, scale] = [elements[at] ?? 0, scales[at % columns] ?? 0];
    const number = scale === 0 ? 0 : Math.max(-largest, Math.min(largest, Math.round(element / scale)));
    numbers[at] = number;
    addError(sums, element, number * scale);
  }
  return [
    inlineTensor("int8", [rows, columns], new Uint8Array(numbers.buffer)),
    inlineTensor("float32", [columns], new Uint8Array(scales.buffer)),
  ];
}

/** Pairs of 4-bit numbers, 8 standing for zero, as [out, blocks, 16], and float32 scales. */
function byBlocks({ rows, columns, elements }: Matrix, sums: ErrorSums): Tensor[] {
  const blocks = rows / blockSize;
  const packed = new Uint8Array((columns * rows) / 2);
  const scales = new Float32Array(columns * blocks);
  for (let column = 0; column < columns; column++) {
    for (let block = 0; block < blocks; block++) {
      const at = (row: number): number => elements[(block * blockSize + row) * columns + column] ?? 0;
      // The element of largest size becomes -8, the one number that has no opposite.
      let extreme = 0;
      for (let row = 0; row < blockSize; row++) if (Math.abs(at(row)) > Math.abs(extreme)) extreme = at(row);
      const scale = Math.fround(extreme / -8);
      scales[column * blocks + block] = scale;
      for (let row = 0; row < blockSize; row++) {
        const number = scale === 0 ? 0 : Math.max(-8, Math.min(7, Math.round(at(row) / scale)));
        const index = ((column * blocks + block) * blockSize + row) >> 1;
        packed[index] = (packed[index] ?? 0) | ((number + 8) << (row % 2 === 0 ? 0 : 4));
        addError(sums, at(row), number * scale);
      }
    }
  }
  return [
    inlineTensor("uint8", [columns, blocks, blockSize / 2], packed),
    inlineTensor("float32", [columns * blocks], new Uint8Array(scales.buffer)),
  ];
}

function addError(sums: ErrorSums, exact: number, stored: number): void {
  sums.error += (exact - stored) ** 2;
  sums.weight += exact ** 2;
}
