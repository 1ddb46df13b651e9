import { inlineTensor } from "../../../src/ir/constant.ts";
import { byteLength, type DType, dtypes } from "../../../src/ir/dtype.ts";
import { Model } from "../../../src/ir/model.ts";
import { Node } from "../../../src/ir/node.ts";
import { Tensor } from "../../../src/ir/tensor.ts";
import { tensorType } from "../../../src/ir/type.ts";
import { Value } from "../../../src/ir/value.ts";

const encoder = new TextEncoder();

/** A tensor with every byte different, so that each element has its own bits. */
export function countingTensor(dtype: DType, dims: readonly number[]): Tensor {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (dtype === "string") {
    const values = Array.from({ length: size }, (_, i) => encoder.encode(`s${i}`));
    return new Tensor(dtype, dims, { kind: "strings", values });
  }
  const length = byteLength(dtype, size);
  const bytes = Uint8Array.from({ length }, (_, i) => (dtype === "bool" ? i % 2 : (i * 37 + 129) % 256));
  return inlineTensor(dtype, dims, bytes);
}

/** One initializer and one attribute of every element type. */
export function everyDtype(): Model {
  const model = new Model({ irVersion: 13, opsets: [["", 25]] });
  const { graph } = model;
  graph.name = "every_dtype";
  for (const dtype of dtypes) {
    const constant = graph.addInitializer(countingTensor(dtype, [3]), `init_${dtype}`);
    const node = new Node({
      op: "Constant",
      inputs: [],
      attributes: { value: countingTensor(dtype, dtype === "string" ? [2] : []) },
      outputs: [new Value({ name: `const_${dtype}`, type: tensorType(dtype, []) })],
    });
    graph.insert(node);
    graph.addOutput(constant);
    graph.addOutput(node.output());
  }
  return model;
}

/** Floats at the edges of their types, not-a-numbers with bits of their own included. */
export function edgeFloats(): Model {
  const model = new Model();
  const singles = new DataView(new ArrayBuffer(4 * 12));
  [
    0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff,
    0x00000001, 0x7f7fffff, 0x3dcccccd, 0x4b7fffff,
  ].forEach((bits, i) => {
    singles.setUint32(i * 4, bits, true);
  });
  const doubles = new DataView(new ArrayBuffer(8 * 7));
  [
    0x8000000000000000n,
    0x7ff0000000000000n,
    0x7ff8000000000000n,
    0xfff8000000000000n,
    0x7ff8000000000abcn,
    1n,
    0x3fb999999999999an,
  ].forEach((bits, i) => {
    doubles.setBigUint64(i * 8, bits, true);
  });
  model.graph.addInitializer(inlineTensor("float32", [12], new Uint8Array(singles.buffer)), "singles");
  model.graph.addInitializer(inlineTensor("float64", [7], new Uint8Array(doubles.buffer)), "doubles");
  model.graph.addInitializer(inlineTensor("complex64", [3, 2], new Uint8Array(singles.buffer)), "complexes");
  const attribute = inlineTensor("float32", [12], new Uint8Array(singles.buffer), "edges");
  model.graph.insert(new Node({ op: "Constant", inputs: [], attributes: { value: attribute } }));
  return model;
}

/** Weights that lie in files, inside and outside of the model's folder. */
export function externalWeights(): Model {
  const model = new Model();
  model.origin = { file: "/models/a/model.onnx", folder: "/models/a" };
  const weight = (file: string, dtype: DType, dims: readonly number[]): Tensor => {
    const length = byteLength(
      dtype,
      dims.reduce((product, dim) => product * dim, 1),
    );
    return new Tensor(dtype, dims, { kind: "file", range: { file, offset: 4096, length } });
  };
  model.graph.addInitializer(weight("/models/a/model.onnx", "float32", [100, 3]), "inside");
  model.graph.addInitializer(weight("/models/a/sub folder/w.bin", "int4", [101]), "deeper");
  model.graph.addInitializer(weight("/models/b/other.bin", "float16", [200]), "outside");
  model.graph.addInitializer(weight("/models/a/..b/other.bin", "bfloat16", [200]), "dots");
  model.graph.insert(
    new Node({
      op: "Constant",
      inputs: [],
      attributes: { value: weight("/models/a/c.bin", "float64", [65]) },
    }),
  );
  return model;
}
