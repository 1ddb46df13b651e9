/** Packs all trainable tensors into one flat vector, and their gradients into another. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import { freeInputName } from "../ir/names.ts";
import { roleFact, setRole, withRole } from "../ir/role.ts";
import { countElements, staticShape } from "../ir/shape.ts";
import { partOfBytes, Tensor } from "../ir/tensor.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { shapeOf } from "../ops/facts.ts";
import { FlatLayout } from "./flat-layout.ts";

/** A part of a flat vector: `key` lies at `offset` elements, row-major with this shape. */
export interface FlatSlice {
  readonly key: string;
  readonly offset: number;
  readonly shape: readonly number[];
  /** Group for optimizers that treat groups differently. */
  readonly group?: string;
  /** Present where nothing depends on it: no optimizer changes it. */
  readonly idle?: string;
  /** Factor that what it makes is multiplied with, as decimal text. */
  readonly factor?: string;
  /** The method that added the tensor, its module there, and the method's own name for it. */
  readonly method?: string;
  readonly module?: string;
  readonly name?: string;
}

/** Names of the flat input and output. */
const flatNames = { params: "params", grads: "grads" } as const;

/**
 * Replaces the parameter inputs by one float32 vector that is split and reshaped at the start of the graph, so that
 * optimizer, clipping and transfers cost one node each whatever the number of modules. Gradient outputs, where there are
 * any, are concatenated in the same order. Gives the layout, empty where nothing is trained.
 */
export function flattenParameters(graph: Graph, opset: number): FlatSlice[] {
  const params = withRole(graph.inputs, "param");
  const slices = layoutOf(params);
  if (slices.length === 0) return [];
  const facts = { key: flatNames.params, slices: JSON.stringify(slices) };
  const flat = graph.addInput({
    name: freeInputName(graph, flatNames.params),
    type: tensorType("float32", [totalSize(slices)]),
    initializer: concatenated(params),
  });
  setRole(flat, "param", facts);
  const layout = new FlatLayout(slices);
  splitFlat(graph, flat, params, layout, opset);
  packGradients(graph, layout, opset);
  for (const param of params) graph.removeInput(param);
  return slices;
}

/** Reads the layout that a flat value carries. */
export function readSlices(value: Value): FlatSlice[] {
  const text = roleFact(value, "slices");
  if (text === undefined) throw new InternalError(`"${value.name}" carries no layout`);
  return JSON.parse(text) as FlatSlice[];
}

function layoutOf(params: readonly Value[]): FlatSlice[] {
  let offset = 0;
  return params.map((param) => {
    const key = roleFact(param, "key");
    const shape = staticShape(shapeOf(param));
    if (key === undefined || shape === undefined)
      throw new InternalError(`parameter "${param.name}" lacks key or size`);
    const slice: FlatSlice = { key, offset, shape, ...originOf(param) };
    offset += countElements(shape);
    return slice;
  });
}

/** What the tensor is to its method, as far as it is known. */
function originOf(param: Value): Partial<FlatSlice> {
  const facts = (["group", "idle", "factor", "method", "module", "name"] as const).flatMap((fact) => {
    const text = roleFact(param, fact);
    return text === undefined ? [] : [[fact, text] as const];
  });
  return Object.fromEntries(facts);
}

function totalSize(slices: readonly FlatSlice[]): number {
  return slices.reduce((sum, { shape }) => sum + countElements(shape), 0);
}

function splitFlat(
  graph: Graph,
  flat: Value,
  params: readonly Value[],
  layout: FlatLayout,
  opset: number,
): void {
  const tensors = layout.split(new OpBuilder({ graph, before: graph.first }, opset), flat);
  params.forEach((param, i) => {
    const tensor = tensors[i];
    if (tensor === undefined) throw new InternalError("a split lacks a part");
    tensor.name = param.name;
    param.replaceUses(tensor);
  });
}

function packGradients(graph: Graph, layout: FlatLayout, opset: number): void {
  const grads = withRole(graph.outputs, "grad");
  if (grads.length === 0) return;
  const byKey = new Map(grads.map((grad) => [roleFact(grad, "key"), grad]));
  const ordered = layout.slices.map(({ key }) => {
    const grad = byKey.get(key);
    if (grad === undefined) throw new InternalError(`parameter "${key}" has no gradient`);
    return grad;
  });
  const flat = layout.join(new OpBuilder({ graph }, opset), ordered);
  flat.name = flatNames.grads;
  setRole(flat, "grad", { slices: JSON.stringify(layout.slices) });
  graph.setOutputs([
    ...graph.outputs.filter((output) => !byKey.has(roleFact(output, "key")) || !grads.includes(output)),
    flat,
  ]);
}

function concatenated(params: readonly Value[]): Tensor {
  const tensors = params.map((param) => {
    const tensor = param.initializer;
    if (tensor === undefined || tensor.dtype !== "float32") {
      throw new InternalError(`parameter "${param.name}" has no float32 starting value`);
    }
    return tensor;
  });
  const size = tensors.reduce((sum, tensor) => sum + tensor.size, 0);
  const part = (start: number, end: number): Uint8Array => {
    const bytes = new Uint8Array(end - start);
    let at = 0;
    for (const tensor of tensors) {
      const [from, to] = [Math.max(at, start), Math.min(at + tensor.byteLength, end)];
      if (from < to) bytes.set(partOfBytes(tensor, from - at, to - at), from - start);
      at += tensor.byteLength;
    }
    return bytes;
  };
  return new Tensor("float32", [size], { kind: "lazy", compute: () => part(0, size * 4), part });
}
