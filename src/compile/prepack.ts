/** Chooses whether the runtime copies weights into the layout of its kernels, which takes memory and saves time. */
import { weightBytes } from "../analysis/footprint.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { CompileSettings } from "./request.ts";

export interface PrepackChoice {
  readonly packs: boolean;
  /** What was chosen and why, for the user. */
  readonly reason: string;
}

/** Copies of less than this are made. */
const little = 2 ** 26;

/**
 * A product without a packed weight takes 0 to 6 % longer over 2,048 rows and 6 to 13 % over 256, and the copies are one for each use,
 * forward and backward: they are worth their memory where they are little. Kernels of quantised products read nothing but
 * packed weights well, so that theirs are made.
 */
export function choosePrepack(graph: Graph, wanted: CompileSettings["prepack"]): PrepackChoice {
  const { packed } = weightBytes(graph, true);
  const size = `${(packed / 1e6).toFixed(packed < 1e7 ? 1 : 0)} MB`;
  const copies = `copied into the layout of kernels, once for each use: ${size}`;
  const kept = `read where they lie, which saves copies of ${size}`;
  if (wanted !== "auto")
    return { packs: wanted === "all", reason: `${wanted === "all" ? copies : kept}, as asked for` };
  if (holdsNumbers(graph)) return { packs: true, reason: `${copies} beside quantised ones` };
  return packed < little ? { packs: true, reason: copies } : { packs: false, reason: kept };
}

/** Whether a product reads quantised numbers: bytes or less, of more than one axis. */
function holdsNumbers(graph: Graph): boolean {
  return [...graph.initializers].some(({ initializer }) => {
    if (initializer === undefined || initializer.dims.length < 2 || isFloat(initializer.dtype)) return false;
    return ["int8", "uint8", "int4", "uint4"].includes(initializer.dtype);
  });
}
