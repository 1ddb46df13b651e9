/** Trainable tensors in the graph: inputs with a checkpoint key, whose default is their starting value. */

import { Random } from "../data/random.ts";
import type { Graph } from "../ir/graph.ts";
import { setRole } from "../ir/role.ts";
import { Tensor } from "../ir/tensor.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import type { ParameterSpec } from "./define.ts";
import { seedFor } from "./initializers.ts";

/** Prefix of every key of a layer adapter in a PEFT checkpoint. */
export const keyPrefix = "base_model.model.";

/** Adds a float32 parameter under its checkpoint key; untrained ones become constants. */
export function addParameter(graph: Graph, key: string, spec: ParameterSpec, seed: number): Value {
  const tensor = drawTensor(key, spec, seed);
  if (spec.trainable === false) return setRole(graph.addInitializer(tensor, key), "frozen", { key });
  const value = graph.addInput({ name: key, type: tensorType("float32", spec.shape), initializer: tensor });
  return setRole(value, "param", { key, ...(spec.group === undefined ? {} : { group: spec.group }) });
}

/** Drawn from a stream of its own, so that a value depends on seed and key but not on what is adapted beside it. */
function drawTensor(key: string, spec: ParameterSpec, seed: number): Tensor {
  const compute = (): Uint8Array => {
    const random = new Random(seedFor(seed, key));
    return new Uint8Array(spec.init(spec.shape, random).buffer);
  };
  return new Tensor("float32", spec.shape, { kind: "lazy", compute }, { name: key });
}
