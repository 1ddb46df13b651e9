/** Edits of a model one number at a time: every attribute, size and small constant of whole numbers at its edges. */
import type { AttributeMessage, GraphMessage, NodeMessage, TensorMessage } from "../../src/onnx/messages.ts";
import { decodeModelMessage, encodeModelMessage } from "../../src/onnx/wire.ts";

/** Sizes and numbers at which arithmetic goes wrong. */
export const edges = [
  0,
  1,
  -1,
  2,
  3,
  7,
  -2,
  255,
  2 ** 20,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 31,
  2 ** 53,
  2 ** 62,
];

/** Floats at which it does. */
export const floatEdges = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e38];

type Edit = () => void;

/** A copy of a file with its edit `index`; undefined where it has fewer. */
export function editAt(bytes: Uint8Array, index: number): Uint8Array | undefined {
  const message = decodeModelMessage(bytes, "seed");
  const edit = message.graph === undefined ? undefined : [...editsOf(message.graph)][index];
  if (edit === undefined) return undefined;
  edit();
  return encodeModelMessage(message);
}

function* editsOf(graph: GraphMessage): Generator<Edit> {
  for (const node of graph.node ?? []) yield* editsOfNode(node);
  for (const tensor of graph.initializer ?? []) yield* editsOfTensor(tensor);
  for (const { type } of [...(graph.input ?? []), ...(graph.output ?? [])]) {
    const { tensor_type: tensor } = type ?? {};
    if (tensor === undefined) continue;
    for (const dim of tensor.shape?.dim ?? []) {
      for (const size of edges)
        yield () => void Object.assign(dim, { dim_value: size, dim_param: undefined });
      yield () => void Object.assign(dim, { dim_value: undefined, dim_param: "n" });
      yield () => void Object.assign(dim, { dim_value: undefined, dim_param: undefined });
    }
    yield () => void delete tensor.shape;
    yield () => void delete tensor.elem_type;
  }
}

function* editsOfNode(node: NodeMessage): Generator<Edit> {
  const { attribute: attributes = [], input: inputs = [] } = node;
  for (const attribute of attributes) {
    yield () => void attributes.splice(attributes.indexOf(attribute), 1);
    yield* editsOfAttribute(attribute);
  }
  for (const index of inputs.keys()) {
    yield () => void inputs.splice(index, 1, "");
    yield () => void inputs.splice(index, 1);
    yield () => void inputs.splice(index, 1, inputs[0] ?? "");
  }
}

function* editsOfAttribute(attribute: AttributeMessage): Generator<Edit> {
  const { ints } = attribute;
  if (attribute.g !== undefined) yield* editsOf(attribute.g);
  if (attribute.t !== undefined) yield* editsOfTensor(attribute.t);
  if (attribute.i !== undefined)
    for (const number of edges) yield () => void Object.assign(attribute, { i: number });
  if (attribute.f !== undefined)
    for (const number of floatEdges) yield () => void Object.assign(attribute, { f: number });
  if (attribute.s !== undefined)
    for (const text of ["", "x", "\u0000"])
      yield () => void Object.assign(attribute, { s: new TextEncoder().encode(text) });
  if (ints === undefined) return;
  for (const [index] of ints.slice(0, 4).entries())
    for (const number of edges) yield () => void ints.splice(index, 1, number);
  for (const number of edges) yield () => void ints.fill(number);
  yield () => void ints.pop();
  yield () => void ints.push(1);
  yield () => void ints.splice(0);
  yield () => void ints.push(...Array<number>(100).fill(1));
}

/** Whole numbers are edited where they are few: sizes, axes and the like. */
function* editsOfTensor(tensor: TensorMessage): Generator<Edit> {
  const { dims = [], raw_data: raw, int64_data: list } = tensor;
  for (const index of [...dims.keys(), dims.length])
    for (const size of [0, 1, -1, 2 ** 31, 2 ** 62]) yield () => void dims.splice(index, 1, size);
  if (tensor.data_type !== 7) return;
  if (raw !== undefined && raw.length <= 128) {
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    for (let at = 0; at + 8 <= raw.length && at < 64; at += 8)
      for (const number of edges) yield () => view.setBigInt64(at, BigInt(number), true);
  }
  if (list !== undefined && list.length <= 16)
    for (const [index] of list.slice(0, 8).entries())
      for (const number of edges) yield () => void list.splice(index, 1, number);
}
