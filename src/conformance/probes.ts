/** Tiny models in ONNX text, one or more for each kind of site that a method may take. */
import type { AnySiteKind } from "../analysis/sites.ts";
import { Random } from "../data/random.ts";
import type { Model } from "../ir/model.ts";
import { countElements } from "../ir/shape.ts";
import { parseModel } from "../text/parse.ts";

/** A model with sites of one kind. */
export interface Probe {
  readonly name: string;
  readonly kind: AnySiteKind;
  /** Paths of the modules that are adapted; empty where the method finds its places itself. */
  readonly targets: readonly string[];
  readonly text: string;
}

const deviation = 0.4;

/** Text of initializers with normal elements, the same in every process. */
function weights(shapes: Readonly<Record<string, readonly number[]>>): string {
  const random = new Random(5);
  return Object.entries(shapes)
    .map(([name, shape]) => {
      const values = Array.from({ length: countElements(shape) }, () =>
        (random.normal() * deviation).toFixed(3),
      );
      return `float[${shape.join()}] "${name}" = {${values.join()}}`;
    })
    .join(", ");
}

/** Two layers of two modules as most exporters write them: the products' weights as PyTorch lays them out, or turned. */
const linear = `f (float[N,S,16] x) => (float[N,S,16] y) <${weights({
  "layers.0.up.weight": [16, 32],
  "layers.0.up.bias": [32],
  "layers.0.down.weight": [16, 32],
  "layers.0.down.bias": [16],
  "layers.1.up.weight": [16, 32],
  "layers.1.up.bias": [32],
  "layers.1.down.weight": [16, 32],
  "layers.1.down.bias": [16],
})}> {
  a0 = MatMul (x, "layers.0.up.weight")
  b0 = Add (a0, "layers.0.up.bias")
  c0 = Tanh (b0)
  t0 = Transpose <perm = [1, 0]> ("layers.0.down.weight")
  d0 = MatMul (c0, t0)
  e0 = Add (d0, "layers.0.down.bias")
  a1 = MatMul (e0, "layers.1.up.weight")
  b1 = Add (a1, "layers.1.up.bias")
  c1 = Tanh (b1)
  t1 = Transpose <perm = [1, 0]> ("layers.1.down.weight")
  d1 = MatMul (c1, t1)
  y = Add (d1, "layers.1.down.bias")
}`;

/** Rows of features without a sequence, a Gemm, square and without bias. */
const gemm = `f (float[N,16] x) => (float[N,16] y) <${weights({
  "layers.0.fc.weight": [16, 16],
  "layers.0.fc.bias": [16],
  "layers.1.fc.weight": [16, 16],
})}> {
  a = Gemm <transB = 1> (x, "layers.0.fc.weight", "layers.0.fc.bias")
  h = Tanh (a)
  y = Gemm <transB = 1> (h, "layers.1.fc.weight")
}`;

/** A convolution over `axes` spatial axes behind another one; the second reads `groups` groups. */
function convolution(axes: number, groups: number): string {
  const space = Array.from({ length: axes }, () => 4).join();
  const kernel = Array.from({ length: axes }, () => 3);
  const pads = `pads = [${Array.from({ length: 2 * axes }, () => 1).join()}]`;
  return `f (float[N,8,${space}] x) => (float[N,8,${space}] y) <${weights({
    "features.0.weight": [16, 8, ...kernel],
    "features.0.bias": [16],
    "features.2.weight": [8, 16 / groups, ...kernel.map(() => 1)],
    "features.2.bias": [8],
  })}> {
    a = Conv <${pads}> (x, "features.0.weight", "features.0.bias")
    h = Tanh (a)
    y = Conv <group = ${groups}> (h, "features.2.weight", "features.2.bias")
  }`;
}

const embedding = `f (int64[N,S] ids) => (float[N,S,16] y) <${weights({ "embed.weight": [8, 16] })}> {
  y = Gather ("embed.weight", ids)
}`;

const norm = `f (float[N,16] x) => (float[N,16] y) <${weights({
  "norm.weight": [16],
  "norm.bias": [16],
  "fc.weight": [16, 16],
})}> {
  a = LayerNormalization <axis = -1> (x, "norm.weight", "norm.bias")
  y = Gemm <transB = 1> (a, "fc.weight")
}`;

/** A decoder of two blocks with two heads of four features. */
const decoder = `f (int64[N,S] input_ids) => (float[N,S,24] logits) <${weights({
  "embed_tokens.weight": [24, 8],
  ...block(0).weights,
  ...block(1).weights,
  "lm_head.weight": [24, 8],
})}, float scale = {0.5}, int64[1] two = {2}, int64[1] four = {4}, int64[1] eight = {8}> {
  h0 = Gather ("embed_tokens.weight", input_ids)
  size = Shape <start = 0, end = 2> (h0)
  split = Concat <axis = 0> (size, two, four)
  whole = Concat <axis = 0> (size, eight)
  ${block(0).body}
  ${block(1).body}
  th = Transpose <perm = [1, 0]> ("lm_head.weight")
  logits = MatMul (h2, th)
}`;

function block(i: number): { weights: Record<string, readonly number[]>; body: string } {
  const path = `layers.${i}.self_attn`;
  const project = (letter: string): string => `
  ${letter}t${i} = Transpose <perm = [1, 0]> ("${path}.${letter}_proj.weight")
  ${letter}p${i} = MatMul (h${i}, ${letter}t${i})
  ${letter}r${i} = Reshape (${letter}p${i}, split)
  ${letter}h${i} = Transpose <perm = [0, 2, 1, 3]> (${letter}r${i})`;
  const body = `${["q", "k", "v"].map(project).join("")}
  kk${i} = Transpose <perm = [0, 1, 3, 2]> (kh${i})
  raw${i} = MatMul (qh${i}, kk${i})
  scores${i} = Mul (raw${i}, scale)
  probs${i} = Softmax <axis = -1> (scores${i})
  mixed${i} = MatMul (probs${i}, vh${i})
  turned${i} = Transpose <perm = [0, 2, 1, 3]> (mixed${i})
  joined${i} = Reshape (turned${i}, whole)
  ot${i} = Transpose <perm = [1, 0]> ("${path}.o_proj.weight")
  out${i} = MatMul (joined${i}, ot${i})
  h${i + 1} = Add (h${i}, out${i})`;
  const names = ["q", "k", "v", "o"].map((letter) => [`${path}.${letter}_proj.weight`, [8, 8]] as const);
  return { weights: Object.fromEntries(names), body };
}

const layers = ["layers.0.up", "layers.0.down", "layers.1.up", "layers.1.down"];
const features = ["features.0", "features.2"];

export const probes: readonly Probe[] = [
  { name: "linear", kind: "linear", targets: layers, text: linear },
  { name: "linear, square", kind: "linear", targets: ["layers.0.fc", "layers.1.fc"], text: gemm },
  { name: "conv1d", kind: "conv", targets: features, text: convolution(1, 1) },
  { name: "conv2d", kind: "conv", targets: features, text: convolution(2, 1) },
  { name: "conv3d", kind: "conv", targets: features, text: convolution(3, 1) },
  { name: "conv2d, grouped", kind: "conv", targets: features, text: convolution(2, 2) },
  { name: "embedding", kind: "embedding", targets: ["embed"], text: embedding },
  { name: "norm", kind: "norm", targets: ["norm"], text: norm },
  { name: "attention", kind: "attention", targets: [], text: decoder },
  { name: "prompt", kind: "prompt", targets: [], text: decoder },
  { name: "block", kind: "block", targets: [], text: decoder },
];

export function parseProbe({ text }: Probe): Model {
  return parseModel(text);
}
