// Trains an artifact with nothing but ONNX Runtime: roles of the manifest in, no import of peft-compile.
//
//   node examples/train-from-artifact.mjs DIR [STEPS]
//
// It learns one made-up batch by heart at a constant rate. Put your own data, and the manifest's schedule, in their place.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";

const [dir = ".", steps = "5"] = process.argv.slice(2);
const {
  graphs,
  source,
  state: stateFile,
  optimizer,
} = JSON.parse(readFileSync(`${dir}/manifest.json`, "utf8"));
const { file, inputs, outputs } = graphs.train;

// Frozen weights stay in the user's own model file: the runtime is told where that lies.
const session = await InferenceSession.create(readFileSync(`${dir}/${file}`), {
  extra: { session: { model_external_initializers_file_folder_path: resolve(dir, source.folder) } },
});

// state.safetensors: length of the header, header (JSON), tensors; scalars stand in the header's metadata.
const bytes = readFileSync(`${dir}/${stateFile}`);
const start = 8 + Number(bytes.readBigUInt64LE(0));
const { __metadata__: scalars, ...tensors } = JSON.parse(bytes.subarray(8, start));
const numbers = { int64: BigInt, int32: Number, uint64: BigInt, float32: Number };

function initialValue({ key, dtype, shape, slices }) {
  if (slices === undefined) return new Tensor(dtype, [numbers[dtype](scalars[key])], shape);
  const flat = new Float32Array(shape[0]);
  for (const { key: name, offset } of slices)
    new Uint8Array(flat.buffer).set(
      bytes.subarray(...tensors[name].data_offsets.map((at) => start + at)),
      4 * offset,
    );
  return new Tensor(dtype, flat, shape);
}

/** Two examples of sixteen positions: ids where a table bounds them, labels of two kinds, masks of ones. */
function example({ role, dtype, shape, below = role === "label" ? 2 : undefined }) {
  const dims = shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 2 : 16));
  const at = (i) => (dtype === "float32" ? (i % 7) / 7 : below === undefined ? 1 : (7 * i) % below);
  const values = Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, i) => at(i));
  return new Tensor(dtype, values.map(numbers[dtype]), dims);
}

function feedFor(port, step) {
  if (port.role === "hyper") return new Tensor("float32", [optimizer.options.lr], []);
  if (port.role === "rng") return new Tensor("uint64", [BigInt(step)], []);
  return port.role === "batch" || port.role === "label" ? example(port) : initialValue(port);
}

// What an output of role `next` gives is fed to the input that it names, one step later.
const state = {};
for (let step = 1; step <= Number(steps); step++) {
  const feeds = inputs.map((port) => [port.name, state[port.name] ?? feedFor(port, step)]);
  const results = await session.run(Object.fromEntries(feeds));
  for (const { name, role, feeds: input } of outputs) {
    if (role === "next") state[input] = results[name];
    if (role === "loss") console.log(`step ${step} loss ${results[name].data[0].toFixed(4)}`);
  }
}
