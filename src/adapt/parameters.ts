/** Trainable tensors in the graph: inputs with a checkpoint key, whose default is their starting value. */

import { Random } from "../data/random.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import { type RoleFacts, setRole } from "../ir/role.ts";
import { Tensor } from "../ir/tensor.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { fromTensor } from "../ops/ndarray.ts";
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
export function keyOf(
  { key, saved, trainable, bare, owner }: ParameterSpec,
  path: string | undefined,
): string {
  const wrapped = bare === true ? "" : "base_model.";
  const root =
    saved !== false ? wrapped : trainable === false ? unsaved.frozen : `${unsaved.trained}${wrapped}`;
  const at = owner === undefined ? path : (owner ?? undefined);
  return at === undefined ? `${root}${key}` : `${root}model.${at}.${key}`;
}

/** Whether the tensor of a key is one that PEFT checkpoints hold. */
export function isSavedKey(key: string): boolean {
  return !Object.values(unsaved).some((root) => key.startsWith(root));
}

/**
 * Adds the tensors of one module, or those that all share: float32 inputs under their checkpoint keys, or constants where they
 * are not trained. One that the graph has already, since another module shares it, is taken as it is.
 */
export function addParameters(
  graph: Graph,
  specs: Readonly<Record<string, ParameterSpec>>,
  { method, path }: { readonly method: string; readonly path: string | undefined },
  seed: number,
  known = new Map<string, Value>(),
): Record<string, Value> {
  const added: Record<string, Value> = {};
  // Computed when it is written: by then a checkpoint's tensors have taken the place of those drawn here.
  const startOf = (name: string): Tensor => {
    const tensor = added[name]?.initializer;
    if (tensor === undefined) throw new InternalError(`there is no tensor ${name} to start from`);
    return tensor;
  };
  for (const [name, spec] of Object.entries(specs)) {
    const key = keyOf(spec, path);
    const facts = { method, name, ...(path === undefined ? {} : { module: path }) };
    const value =
      known.get(key) ?? addParameter(graph, key, spec, facts, drawTensor(key, spec, seed, startOf));
    known.set(key, value);
    added[name] = value;
  }
  return added;
}

function addParameter(
  graph: Graph,
  key: string,
  spec: ParameterSpec,
  facts: RoleFacts,
  tensor: Tensor,
): Value {
  if (spec.trainable === false) return setRole(graph.addInitializer(tensor, key), "frozen", { key });
  const value = graph.addInput({ name: key, type: tensorType("float32", spec.shape), initializer: tensor });
  return setRole(value, "param", {
    key,
    ...facts,
    ...(spec.group === undefined ? {} : { group: spec.group }),
    ...(spec.idle === true ? { idle: "true" } : {}),
    ...(spec.factor === undefined ? {} : { factor: String(spec.factor) }),
  });
}

const started = new WeakMap<Tensor, Float32Array>();

/** Elements of a tensor that others start from, the same array each time. */
function startElements(tensor: Tensor): Float32Array {
  const elements = started.get(tensor) ?? Float32Array.from(fromTensor(tensor).numbers);
  started.set(tensor, elements);
  return elements;
}

/** Drawn from a stream of its own, so that a value depends on seed and key but not on what is adapted beside it. */
function drawTensor(
  key: string,
  { init, shape, dtype = "float32", trainable }: ParameterSpec,
  seed: number,
  startOf: (name: string) => Tensor,
): Tensor {
  const elementsOf = (): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> => {
    const random = new Random(seedFor(seed, key));
    if (typeof init === "function") return init(shape, random);
    return "whole" in init ? init.whole(shape, random) : init.from((name) => startElements(startOf(name)));
  };
  const draw = (): Uint8Array => {
    const elements = elementsOf();
    if (dtype === "int64") return new Uint8Array(BigInt64Array.from(Array.from(elements, BigInt)).buffer);
    return new Uint8Array((dtype === "int32" ? Int32Array.from(elements) : elements).buffer);
  };
  // What is not trained stands in several graphs, and others may start from it: it is kept. What is trained is as large as
  // the model at worst, and written once.
  let known: Uint8Array | undefined;
  const compute = trainable === false ? () => (known ??= draw()) : draw;
  return new Tensor(dtype, shape, { kind: "lazy", compute }, { name: key });
}
