/** Random programs: nodes of any operator on operands of any type and rank, most of which fit badly. */
import { Random } from "../../src/data/random.ts";
import { float32Tensor, inlineTensor } from "../../src/ir/constant.ts";
import { byteLength, type DType } from "../../src/ir/dtype.ts";
import { Graph } from "../../src/ir/graph.ts";
import { Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { countElements } from "../../src/ir/shape.ts";
import { tensorType } from "../../src/ir/type.ts";
import type { Value } from "../../src/ir/value.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import type { Op } from "../../src/ops/record.ts";
import { allOps } from "../../src/ops/registry.ts";

/** A model file of a few random nodes; the same seed gives the same. */
export function randomProgram(seed: number): Uint8Array {
  const random = new Random(seed, 1);
  const graph = new Graph("random");
  const values: Value[] = [];
  for (let count = 2 + random.below(4); count > 0; count--)
    values.push(someInput(graph, values.length, random));
  for (let count = 1 + random.below(4); count > 0; count--) {
    const node = someNode(values, random);
    graph.insert(node);
    values.push(...node.outputs.filter((output) => output !== null));
  }
  for (const value of graph.last?.outputs ?? []) if (value !== null) graph.addOutput(value);
  const opset = pick([17, 18, 20, 20, 21, 23], random);
  return encodeModel(
    new Model({
      irVersion: 10,
      opsets: new Map([
        ["", opset],
        ["com.microsoft", 1],
        ["ai.onnx.ml", 4],
      ]),
      graph,
    }),
  );
}

const ops = [...allOps()].sort((a, b) => (`${a.domain}.${a.type}` < `${b.domain}.${b.type}` ? -1 : 1));

/** Values of the text attributes of many operators. */
const words: readonly string[] = [
  "constant",
  "reflect",
  "linear",
  "cubic",
  "nearest",
  "none",
  "add",
  "mean",
  "SAME_UPPER",
  "VALID",
  "bilinear",
  "ij,jk->ik",
  "bij,bjk",
  "bidirectional",
  "reverse",
  "tanh",
  "DCR",
  "BSNH",
];

function pick<T>(items: readonly T[], random: Random): T {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new Error("nothing to pick from");
  return item;
}

const dtypes: readonly DType[] = [
  ...Array<DType>(12).fill("float32"),
  ...Array<DType>(4).fill("int64"),
  "float16",
  "float64",
  "bool",
  "int32",
  "uint8",
  "int8",
];

function someInput(graph: Graph, index: number, random: Random): Value {
  const dtype = pick(dtypes, random);
  const rank = pick([0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5], random);
  const dims = Array.from({ length: rank }, () => pick([1, 2, 2, 3, 4, 4, 8, 0], random));
  const name = `v${index}`;
  if (random.below(3) > 0) return graph.addInput({ name, type: tensorType(dtype, dims) });
  const bytes = Uint8Array.from({ length: byteLength(dtype, countElements(dims)) }, (_, at) =>
    dtype === "float32" ? ([0, 0, 0x80, 0x3f][at % 4] ?? 0) : at % 8 === 0 ? random.below(4) : 0,
  );
  return graph.addInitializer(inlineTensor(dtype, dims, bytes, name));
}

function someNode(values: readonly Value[], random: Random): Node {
  const op = pick(ops, random);
  const inputs = op.inputs.flatMap(({ optional, variadic }) => {
    if (optional && random.below(2) === 0) return [null];
    return Array.from({ length: variadic ? 1 + random.below(3) : 1 }, () =>
      random.below(40) === 0 ? null : pick(values, random),
    );
  });
  const required = op.outputs.filter(({ optional }) => !optional).length;
  const outputs = Math.max(1, required + (random.below(3) === 0 ? random.below(3) : 0));
  return new Node({
    op: op.type,
    domain: op.domain,
    inputs,
    outputs,
    attributes: someAttributes(op, random),
  });
}

function someAttributes(op: Op, random: Random): Record<string, number | readonly number[] | string | Graph> {
  const attributes: Record<string, number | readonly number[] | string | Graph> = {};
  for (const [name, { kind }] of Object.entries(op.attributes)) {
    if (random.below(3) === 0) continue;
    if (kind === "string") attributes[name] = pick(words, random);
    else if (kind === "int") attributes[name] = pick([0, 1, 1, 2, 2, 3, 4, -1, -2, 7, 8, 16, 32], random);
    else if (kind === "ints")
      attributes[name] = Array.from({ length: random.below(5) }, () => pick([0, 1, 1, 2, 3, -1], random));
    else if (kind === "graph") attributes[name] = someBody(random);
  }
  return attributes;
}

function someBody(random: Random): Graph {
  const body = new Graph("body");
  const types = Array.from({ length: random.below(4) }, (_, index) =>
    body.addInput({
      name: `b${index}`,
      type: random.below(2) === 0 ? undefined : tensorType(pick(dtypes, random), [2]),
    }),
  );
  for (const value of types) if (random.below(2) === 0) body.addOutput(value);
  const made = body.addInitializer(float32Tensor([1], []));
  if (random.below(2) === 0) body.addOutput(made);
  return body;
}
