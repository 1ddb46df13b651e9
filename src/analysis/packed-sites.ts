/** Modules that a file packs into one product: each is a site of its own, with some rows of the weight. */

import { constantOf, smallIntegers } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import type { LinearSite, SiteParameter } from "./sites.ts";

/** Metadata of a Split whose results are those of modules that share one product: their names, with commas between. */
const partsKey = "peft.parts";

/** Metadata beside it: path of the module that holds them, where the product has none or another. */
const holderKey = "peft.parts.of";

/** Says that the results of a Split are those of modules with these names, in a module that is the product's unless named. */
export function markParts(split: Node, names: readonly string[], holder?: string): void {
  split.metadata.set(partsKey, names.join());
  if (holder !== undefined) split.metadata.set(holderKey, holder);
}

/** The sites that a product stands for: itself, or one for each result of a marked Split that alone reads it. */
export function unpackSite(site: LinearSite): LinearSite[] {
  const [use, another] = site.y.uses;
  const split = use?.kind === "operand" && another === undefined ? use.node : undefined;
  const names = split?.metadata.get(partsKey)?.split(",");
  const sizes = smallIntegers(constantOf(split?.input(1)));
  if (split === undefined || names === undefined || sizes?.length !== names.length) return [site];
  let start = 0;
  return names.flatMap((name, index) => {
    const [y, size = 0] = [split.outputs[index], sizes[index]];
    const rows = { start, size };
    start += size;
    if (y == null) return [];
    const part = (parameter: SiteParameter): SiteParameter => ({ ...parameter, rows });
    return [
      {
        ...site,
        path: pathOfPart(split.metadata.get(holderKey) ?? site.path, name),
        conv1d: false,
        y,
        weight: part(site.weight),
        bias: site.bias === undefined ? undefined : part(site.bias),
        outFeatures: size,
      },
    ];
  });
}

/** `attn.qkv_proj` becomes `attn.q_proj`; a module whose name says nothing of its parts becomes their parent. */
function pathOfPart(path: string, name: string): string {
  const at = path.lastIndexOf(".");
  return at >= 0 && /qkv|query_key_value/.test(path.slice(at + 1))
    ? `${path.slice(0, at + 1)}${name}`
    : `${path}.${name}`;
}

/** Result of a Split of an initializer. */
export interface InitializerPart {
  readonly value: Value;
  readonly axis: number;
  /** Where it lies on that axis. */
  readonly rows: { readonly start: number; readonly size: number };
  /** Shape of the part. */
  readonly dims: readonly number[];
  readonly reader: Node;
}

/** The float initializer that a Split takes a value from, as where PyTorch chunks the weights of several products. */
export function splitPart(result: Value | undefined): InitializerPart | undefined {
  const reader = result?.producer;
  if (result === undefined || reader?.op !== "Split" || reader.domain !== "") return undefined;
  const value = reader.input(0);
  const dims = constantOf(value) === undefined ? undefined : value?.initializer?.dims;
  const { dtype } = value?.initializer ?? {};
  if (value === undefined || dims === undefined || dtype === undefined || !isFloat(dtype)) return undefined;
  const axis = (reader.int("axis", 0) + dims.length) % dims.length;
  const [length = 0, count] = [dims[axis], reader.outputs.length];
  const even = Array.from({ length: count }, () => length / count);
  const sizes = reader.input(1) === undefined ? even : smallIntegers(constantOf(reader.input(1)));
  const index = reader.outputs.indexOf(result);
  const size = sizes?.[index];
  if (sizes === undefined || size === undefined || !Number.isInteger(size)) return undefined;
  const start = sizes.slice(0, index).reduce((sum, each) => sum + each, 0);
  return { value, axis, rows: { start, size }, dims: dims.with(axis, size), reader };
}
