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

/** The same for modules that are trained whole beside a method for which PEFT does not wrap the model. */
export const bareKeyPrefix = "base_model.";

/** Where keys begin that PEFT's checkpoints do not have: of tensors that are not trained, and of those that are. */
const unsaved = { frozen: "frozen.", trained: "param." } as const;

/**
 * Key of a tensor in our state and, where PEFT saves it, in a PEFT checkpoint.
 *
 * @param path module it belongs to; undefined where all modules share it.
 */
export function keyOf({ key, saved, trainable, bare }: ParameterSpec, path: string | undefined): string {
  const wrapped = bare === true ? "" : "base_model.";
  const root = saved !== false ? wrapped : trainable === false ? unsaved.frozen : unsaved.trained;
  return path === undefined ? `${root}${key}` : `${root}model.${path}.${key}`;
}

/** Whether the tensor of a key is one that PEFT checkpoints hold. */
export function isSavedKey(key: string): boolean {
  return !Object.values(unsaved).some((root) => key.startsWith(root));
}

/** Adds a float32 parameter under its checkpoint key; untrained ones become constants. */
function addParameter(graph: Graph, key: string, spec: ParameterSpec, seed: number): Value {
  const tensor = drawTensor(key, spec, seed);
  if (spec.trainable === false) return setRole(graph.addInitializer(tensor, key), "frozen", { key });
  const value = graph.addInput({ name: key, type: tensorType("float32", spec.shape), initializer: tensor });
  return setRole(value, "param", { key, ...(spec.group === undefined ? {} : { group: spec.group }) });
}

/** Adds the parameters of one site, or of all where there is no path, and gives them by name. */
export function addParameters(
  graph: Graph,
  specs: Readonly<Record<string, ParameterSpec>>,
  path: string | undefined,
  seed: number,
): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, addParameter(graph, keyOf(spec, path), spec, seed)]),
  );
}

/** Drawn from a stream of its own, so that a value depends on seed and key but not on what is adapted beside it. */
function drawTensor(key: string, spec: ParameterSpec, seed: number): Tensor {
  const compute = (): Uint8Array => {
    const random = new Random(seedFor(seed, key));
    const values = spec.init(spec.shape, random);
    return new Uint8Array((spec.dtype === "int32" ? Int32Array.from(values) : values).buffer);
  };
  return new Tensor(spec.dtype ?? "float32", spec.shape, { kind: "lazy", compute }, { name: key });
}
