/** `ensure_weight_tying`: a table and the output layer that reads the same weight, adapted by the same factors. */
import type { DerivedStart } from "../../../src/adapt/define.ts";
import { basePath } from "../../../src/adapt/select.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import type { UpdateHook } from "../../../src/training/update-hook.ts";
import { factorOf, type Params } from "../parts/factors.ts";
import { plainSpecs, type Specs } from "./factors.ts";
import type { Options } from "./options.ts";
import { variantAsked } from "./variants.ts";

type TableSite = Extract<LayerSite, { readonly kind: "embedding" }>;

/** The table that a module is adapted with, be it that table or an output layer tied to it. */
function tableOf(site: LayerSite, sites: readonly LayerSite[]): TableSite | undefined {
  const path = site.kind === "linear" ? site.tiedTo : basePath(site);
  return sites.find((each): each is TableSite => each.kind === "embedding" && basePath(each) === path);
}

/** Why a module cannot be adapted so, or true. */
export function acceptsTying(site: LayerSite, o: Options): true | string {
  if (!o.ensure_weight_tying || site.kind !== "embedding") return true;
  const variant = variantAsked(o);
  if (variant !== undefined) return `${variant} and ensure_weight_tying exclude each other for tables`;
  return (
    o.init_lora_weights !== "mica" || "B of init_lora_weights mica is not trained, and could not be tied"
  );
}

/**
 * Tensors of a table and of an output layer that is tied to it: A and B of the table, and the same transposed under the output
 * layer's keys, which PEFT trains as tensors of their own and keeps equal. Undefined where nothing is tied.
 */
export function tiedSpecs(site: LayerSite, o: Options, sites: readonly LayerSite[]): Specs | undefined {
  const table = tableOf(site, sites);
  const head = sites.find(
    (each) => table !== undefined && each.kind === "linear" && each.tiedTo === basePath(table),
  );
  if (table === undefined || head === undefined) return undefined;
  const plain = plainSpecs(table, o);
  const { A, B } = plain;
  if (A === undefined || B === undefined) return undefined;
  const [r, rows, width] = [o.r, table.rows, table.width];
  const owner = basePath(head);
  const headA = { ...A, key: "lora_A.weight", owner, shape: [r, width], init: turned("B", width, r) };
  const headB = { ...B, key: "lora_B.weight", owner, shape: [rows, r], init: turned("A", r, rows) };
  return { ...plain, headA: { ...headA, group: "lora_A" }, headB: { ...headB, group: "lora_B" } };
}

/** The factors that a module reads: of an output layer that is tied to a table, those under its own keys. */
export function ownFactors(site: LayerSite, params: Params): Params {
  if (params.headA === undefined || site.kind !== "linear") return params;
  return { A: params.headA, B: factorOf(params, "headB") };
}

/** Starts as the transpose of another tensor, (rows, columns). */
function turned(name: string, rows: number, columns: number): DerivedStart {
  return {
    from: (start) => {
      const values = start(name);
      return Float32Array.from(values, (_, at) => values[(at % rows) * columns + Math.floor(at / rows)] ?? 0);
    },
  };
}

/**
 * Keeps both forms of the factors equal. As in PEFT, where they are views of one memory, the optimizer updates each by its own
 * gradient and with moments of its own, and what both updates change adds up.
 */
export const tyingHook: UpdateHook<Options, string> = {
  names: ["A", "B", "headA", "headB"],
  state: {},
  after: ({ b, split, join, previous, param }) => {
    const names = ["A", "B", "headA", "headB"];
    const before = split(previous(), names);
    const tied = split(param, names).map((after, i) => {
      const from = before[i] ?? after;
      const [A, headB] = bothUpdated(b, after, from, ["A", "headB"]);
      const [B, headA] = bothUpdated(b, after, from, ["B", "headA"]);
      return { A, B, headA, headB };
    });
    return { param: join(tied, names), state: {} };
  },
};

/** Two tensors, of which one is the transpose of the other, with the sum of what was changed of both. */
function bothUpdated(
  b: OpBuilder,
  after: Params,
  before: Params,
  [own, other]: readonly [string, string],
): readonly [Value, Value] {
  const change = b.sub(factorOf(after, other), factorOf(before, other));
  const sum = b.add(factorOf(after, own), b.transpose(change, [1, 0]));
  return [sum, b.transpose(sum, [1, 0])];
}
