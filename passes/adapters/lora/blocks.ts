/** BD-LoRA: A or B consists of blocks on its diagonal, so that parts of a model on several devices need no others' share. */

import { kaimingUniform } from "../../../src/adapt/initializers.ts";
import type { LayerSite, LinearSite } from "../../../src/analysis/sites.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { factorOf, type Params } from "../parts/factors.ts";
import { identity } from "../parts/inverse.ts";
import { deltaOf, updateOf } from "./factors.ts";
import type { Options } from "./options.ts";
import { hasTakenStart } from "./starts.ts";
import type { LoraVariant } from "./variant.ts";

/** The factor that is made of blocks; undefined where neither is. PEFT looks for the names in the module's own name. */
function factorInBlocks({ path }: LayerSite, { use_bdlora: given }: Options): "A" | "B" | "both" | undefined {
  const own = path.replace(/#\d+$/, "").slice(path.lastIndexOf(".") + 1);
  const names = (list: readonly string[] | null | undefined): boolean =>
    (list ?? []).some((name) => own.includes(name));
  const [inA, inB] = [names(given?.target_modules_bd_a), names(given?.target_modules_bd_b)];
  return inA && inB ? "both" : inA ? "A" : inB ? "B" : undefined;
}

/** Rows and columns of a factor, blocks included. */
function sizeOf(name: "A" | "B", { inFeatures, outFeatures }: LinearSite, r: number): [number, number] {
  return name === "A" ? [r, inFeatures] : [outFeatures, r];
}

/** (rows, columns / n), whose n parts of rows are the blocks, as the whole factor (rows, columns). */
function wholeFactor(
  compact: Value,
  [rows, columns]: readonly [number, number],
  n: number,
  b: OpBuilder,
): Value {
  const blocks = b.reshape(compact, [n, rows / n, 1, columns / n]);
  const places = b.reshape(identity(n, b), [n, 1, n, 1]);
  return b.reshape(b.mul(blocks, places), [rows, columns]);
}

function wholeParams(site: LayerSite, params: Params, o: Options, b: OpBuilder): Params {
  const name = factorInBlocks(site, o);
  if (name === undefined) return params;
  if (name === "both" || site.kind !== "linear")
    throw new InternalError("a factor of blocks was not refused");
  const size = sizeOf(name, site, o.r);
  return { ...params, [name]: wholeFactor(factorOf(params, name), size, o.use_bdlora?.nblocks ?? 1, b) };
}

export const blocks: LoraVariant = {
  option: "use_bdlora",
  isAsked: (o) => o.use_bdlora !== null,
  kinds: ["linear"],
  accepts: (site, o) => {
    const name = factorInBlocks(site, o);
    const { nblocks = 1, match_strict: strict = true } = o.use_bdlora ?? {};
    if (name === "both") return "its name is in both target_modules_bd_a and target_modules_bd_b";
    if (name === undefined)
      return !strict || "its name is in neither list of use_bdlora, which match_strict asks for";
    if (site.kind !== "linear") return true;
    if (hasTakenStart(o)) return `init_lora_weights ${o.init_lora_weights} starts from whole factors`;
    const [rows, columns] = sizeOf(name, site, o.r);
    return rows % nblocks === 0 && columns % nblocks === 0
      ? true
      : `factor ${name}, ${rows} x ${columns}, does not fall into ${nblocks} blocks`;
  },
  parameters: (plain, site, o) => {
    const name = factorInBlocks(site, o);
    const spec = name === undefined || name === "both" ? undefined : plain[name];
    if (name === undefined || spec === undefined) return plain;
    const [rows = 0, columns = 0] = spec.shape;
    // PEFT draws A with the gain of a rectifier here, and both whatever init_lora_weights says.
    const shape = [rows, columns / (o.use_bdlora?.nblocks ?? 1)];
    const bound = kaimingUniform((shape[1] ?? 1) / 6);
    return { ...plain, [name]: { ...spec, shape, ...(name === "A" ? { init: bound } : {}) } };
  },
  build: ({ site, x, y, params, options: o, b, dropout }) =>
    b.add(y, updateOf(site, dropout(x, o.lora_dropout), wholeParams(site, params, o, b), o, b)),
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, wholeParams(site, params, o, b), o, b)),
  }),
};
