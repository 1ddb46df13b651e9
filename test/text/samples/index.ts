/** Hand-built models that hold everything the IR can: the round trips use them. */
import { Model } from "../../../src/ir/model.ts";
import { everyAttribute, nestedBodies } from "./attributes.ts";
import { facts, functions, oddHeader } from "./facts.ts";
import { oddNames, types } from "./names.ts";
import { edgeFloats, everyDtype, externalWeights } from "./tensors.ts";

/** Every sample by name. */
export const samples: Readonly<Record<string, () => Model>> = {
  empty: () => new Model(),
  everyDtype,
  edgeFloats,
  everyAttribute,
  nestedBodies,
  functions,
  oddNames,
  types,
  facts,
  oddHeader,
  externalWeights,
};
