/** Starting values from an adapter's tensors. */
import type { BoundAdapter } from "../adapt/define.ts";
import { isSavedKey } from "../adapt/parameters.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { nearNames } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import { roleFact, withRole } from "../ir/role.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { loadStartingValues } from "./state.ts";

/** Tensors of an adapter by checkpoint key, with the name of their file for messages. */
export interface StartingAdapter {
  readonly file: string;
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Starts from an adapter's tensors: every parameter must be there, in the right shape. `isOwn` tells its keys from those of others. */
export function startFrom(
  graph: Graph,
  { name, unportable }: BoundAdapter,
  { file, tensors }: StartingAdapter,
  isOwn: (key: string) => boolean = () => true,
): void {
  const isStored = (value: Value): boolean => isSavedKey(roleFact(value, "key") ?? "");
  const own = (value: Value): boolean => {
    const key = roleFact(value, "key");
    return key !== undefined && isOwn(key);
  };
  const untrained = withRole([...graph.initializers], "frozen").filter(own);
  const frozen = untrained.filter(isStored);
  if (
    unportable.fromPeft !== undefined &&
    untrained.some((value) => !tensors.has(roleFact(value, "key") ?? ""))
  )
    throw adaptErrors.E_ADAPTER_UNPORTABLE(file, name, unportable.fromPeft);
  for (const param of [...withRole(graph.inputs, "param").filter(own), ...frozen]) {
    const key = roleFact(param, "key") ?? param.name;
    const tensor = tensors.get(key);
    if (tensor === undefined) {
      throw isSavedKey(key)
        ? adaptErrors.E_CHECKPOINT_KEY_MISSING(file, key, nearNames(key, tensors.keys()))
        : adaptErrors.E_CHECKPOINT_UNSAVED(file, key);
    }
    const wanted = param.initializer?.dims ?? [];
    if (wanted.join() !== tensor.dims.join()) {
      throw adaptErrors.E_CHECKPOINT_SHAPE(file, key, `[${wanted}]`, `[${tensor.dims}]`);
    }
    const dtype = param.initializer?.dtype;
    if (dtype !== undefined && dtype !== tensor.dtype)
      throw adaptErrors.E_CHECKPOINT_DTYPE(file, key, dtype, tensor.dtype);
  }
  loadStartingValues(graph, tensors);
}
