// Trains an artifact with nothing but ONNX Runtime: roles of the manifest in, no import of peft-compile.
//   node examples/train-from-artifact.mjs DIR [STEPS]     (random token ids; replace `batch` by your own data)
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { InferenceSession, Tensor } from "onnxruntime-node";

const [dir, steps = "3"] = process.argv.slice(2);
const {
  graphs,
  source,
  optimizer,
  state: stateFile,
} = JSON.parse(readFileSync(`${dir}/manifest.json`, "utf8"));
const { inputs, outputs, file } = graphs.train;
const session = await InferenceSession.create(readFileSync(`${dir}/${file}`), {
  extra: { session: { model_external_initializers_file_folder_path: resolve(dir, source.folder) } },
});

// state.safetensors: 8 bytes of length, a JSON header, then the tensors; scalars stand in the header.
const bytes = readFileSync(`${dir}/${stateFile}`);
const headerSize = Number(bytes.readBigUInt64LE(0));
const header = JSON.parse(bytes.subarray(8, 8 + headerSize));
const floats = (key) => bytes.subarray(8 + headerSize).subarray(...header[key].data_offsets);
const initial = ({ key, dtype, shape, slices }) => {
  if (slices !== undefined)
    return new Tensor(
      dtype,
      new Float32Array(Uint8Array.from(Buffer.concat(slices.map((s) => floats(s.key)))).buffer),
      shape,
    );
  const text = header.__metadata__[key];
  return dtype === "int64" ? new Tensor(dtype, [BigInt(text)], []) : new Tensor(dtype, [Number(text)], []);
};
const carried = inputs.filter(({ role }) => ["param", "state", "scale"].includes(role));
const state = Object.fromEntries(carried.map((port) => [port.name, initial(port)]));

const batch = ({ name, role, shape, below = 2 }) => {
  const dims = shape.map((dim, axis) => (typeof dim === "number" ? dim : axis === 0 ? 2 : 16));
  const pick = () =>
    /mask/.test(name) ? 1n : BigInt(Math.floor(Math.random() * (role === "label" ? 2 : below)));
  return new Tensor("int64", BigInt64Array.from({ length: dims.reduce((a, b) => a * b, 1) }, pick), dims);
};
for (let step = 1; step <= Number(steps); step++) {
  const feeds = { ...state };
  for (const port of inputs) {
    if (port.role === "batch" || port.role === "label") feeds[port.name] = batch(port);
    if (port.role === "hyper") feeds[port.name] = new Tensor("float32", [optimizer.options.lr], []);
    if (port.role === "rng") feeds[port.name] = new Tensor("uint64", [BigInt(step)], []);
  }
  const results = await session.run(feeds);
  for (const { name, role, feeds: input } of outputs) if (role === "next") state[input] = results[name];
  console.log(
    `step ${step} loss ${results[outputs.find(({ role }) => role === "loss").name].data[0].toFixed(4)}`,
  );
}
