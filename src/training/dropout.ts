/** Dropout and noise that are functions of a seed input, so that a run can be repeated and resumed bit for bit. */

import { inlineTensor } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import { freeInputName } from "../ir/names.ts";
import { setRole, withRole } from "../ir/role.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";

/** Makes independent masks and noise: each call draws from streams of its own. */
export class Dropout {
  #streams = 0;

  /** x * mask / (1 - p), with mask 1 at random with probability 1 - p (Srivastava et al. 2014). */
  apply(b: OpBuilder, x: Value, p: number): Value {
    this.#streams += 1;
    const draw = uniformLike(b, x, seedInput(b.graph), this.#streams);
    const kept = b.cast(b.greaterOrEqual(draw, b.scalar(p, "float32")), "float32");
    return b.mul(x, b.castLike(b.mul(kept, 1 / (1 - p)), x));
  }

  /** Uniform numbers in [0, 1) in the shape of `like`. */
  uniform(b: OpBuilder, like: Value): Value {
    this.#streams += 1;
    return b.castLike(uniformLike(b, like, seedInput(b.graph), this.#streams), like);
  }

  /** Standard normal numbers in the shape of `like`, from two uniform ones each (Box and Muller 1958). */
  normal(b: OpBuilder, like: Value): Value {
    this.#streams += 2;
    const seed = seedInput(b.graph);
    const radius = b.sqrt(b.mul(b.log(b.sub(1, uniformLike(b, like, seed, this.#streams - 1))), -2));
    const turn = b.mul(uniformLike(b, like, seed, this.#streams), 2 * Math.PI);
    return b.castLike(b.mul(radius, b.op("Cos", [turn])), like);
  }
}

/** The graph's seed: a uint64 scalar that the runner changes at every step. */
function seedInput(graph: Graph): Value {
  const [known] = withRole(graph.inputs, "rng");
  if (known !== undefined) return known;
  const seed = graph.addInput({ name: freeInputName(graph, "seed"), type: tensorType("uint64", []) });
  return setRole(seed, "rng", { kind: "seed" });
}

/**
 * Uniform float32 numbers in [0, 1) in the shape of `x`: Widynski's counter-based generator "Squares" (2020,
 * arXiv:2004.06278), three rounds. It needs products, sums and shifts modulo 2^64 only, which CPU and CUDA kernels
 * of Mul, Add and Div on uint64 give exactly; there is no in-graph generator that takes its seed as an input.
 */
function uniformLike(b: OpBuilder, x: Value, seed: Value, stream: number): Value {
  const unsigned = (value: bigint): Value =>
    b.constant(inlineTensor("uint64", [], new Uint8Array(BigUint64Array.of(value).buffer)), "uint64");
  const half = unsigned(1n << 32n);
  // An odd key with well-mixed bits for each stream; 0x9e3779b97f4a7c15 is 2^64 over the golden ratio.
  const step = unsigned(0x9e37_79b9_7f4a_7c15n);
  const spread = b.mul(b.add(seed, unsigned((BigInt(stream) * 0xd1b5_4a32_d192_ed03n) % (1n << 64n))), step);
  const key = b.add(b.mul(squaredHalf(b, spread, half), unsigned(2n)), unsigned(1n));

  const counter = b.cast(b.op("Range", [b.int(0), b.op("Size", [x]), b.int(1)]), "uint64");
  const y = b.mul(b.add(counter, unsigned(1n)), key);
  const z = b.add(y, key);
  const first = rotated(b, b.add(b.mul(y, y), y), half);
  const second = rotated(b, b.add(b.mul(first, first), z), half);
  const third = b.add(b.mul(second, second), y);
  // The upper 24 bits are a float32 exactly.
  const bits = b.cast(b.div(third, unsigned(1n << 40n)), "float32");
  return b.reshape(b.mul(bits, 2 ** -24), b.shape(x));
}

/** Swaps the halves of 64-bit words. */
function rotated(b: OpBuilder, x: Value, half: Value): Value {
  return b.add(b.div(x, half), b.mul(x, half));
}

function squaredHalf(b: OpBuilder, x: Value, half: Value): Value {
  return b.add(rotated(b, b.mul(x, x), half), x);
}
