/** Recognises normalization layers by their weight, be they one operator or, as RMSNorm is exported, a chain of them. */
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import { type ModuleTree, parseParameterName } from "./module-path.ts";
import type { NormSite, SiteParameter } from "./sites.ts";

const operators: ReadonlySet<string> = new Set([
  "LayerNormalization",
  "RMSNormalization",
  "SimplifiedLayerNormalization",
]);

/** Norms of com.microsoft that add a residual first, with the place of their own bias. */
const skipping: Readonly<Record<string, number>> = {
  SkipLayerNormalization: 3,
  SkipSimplifiedLayerNormalization: Number.POSITIVE_INFINITY,
};

/** A norm whose node ends at the multiplication with its weight; where it is a chain, `x` is the normalized input. */
export function normSite(node: Node, tree: ModuleTree): NormSite | undefined {
  const skip = node.domain === "com.microsoft" ? skipping[node.op] : undefined;
  if (skip !== undefined) return site(node, 0, vectorAt(node, 2), vectorAt(node, skip), node, tree);
  if (node.domain !== "") return undefined;
  if (operators.has(node.op)) return site(node, 0, vectorAt(node, 1), vectorAt(node, 2), node, tree);
  if (node.op !== "Mul") return undefined;
  const operand = vectorAt(node, 0) === undefined ? 1 : 0;
  const weight = vectorAt(node, operand);
  // Any product with a vector looks like this; only its name tells that the vector is a norm's.
  if (weight === undefined || parseParameterName(weight.value.name)?.parameter !== "weight") return undefined;
  const added = addedBias(node, weight);
  return site(node, 1 - operand, weight, added?.bias, added?.node ?? node, tree);
}

function site(
  node: Node,
  input: number,
  weight: SiteParameter | undefined,
  bias: SiteParameter | undefined,
  last: Node,
  tree: ModuleTree,
): NormSite | undefined {
  const x = node.input(input);
  if (x === undefined || weight === undefined || constantOf(x) !== undefined) return undefined;
  const { value } = weight;
  const path = tree.pathOfWeight(value, node) ?? (value.name || node.name);
  const features = value.initializer?.dims[0] ?? 0;
  return { kind: "norm", path, node, x, y: last.output(), weight, bias, features };
}

/** An Add of the bias of the same module that is the only reader of a product. */
function addedBias(node: Node, weight: SiteParameter): { node: Node; bias: SiteParameter } | undefined {
  const [use, another] = node.output().uses;
  if (use?.kind !== "operand" || another !== undefined || use.node.op !== "Add") return undefined;
  const bias = vectorAt(use.node, 1 - use.index);
  const name = bias === undefined ? undefined : parseParameterName(bias.value.name);
  if (bias === undefined || name?.parameter !== "bias") return undefined;
  return name.module === parseParameterName(weight.value.name)?.module ? { node: use.node, bias } : undefined;
}

function vectorAt(reader: Node, operand: number): SiteParameter | undefined {
  const value = reader.input(operand);
  const tensor = constantOf(value);
  if (value === undefined || tensor?.dims.length !== 1 || !isFloat(tensor.dtype)) return undefined;
  return { value, storedAs: "torch", reader, operand };
}
