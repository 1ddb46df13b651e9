/** Which operators ONNX Runtime's CUDA provider has kernels for, by version and element type. */
import type { DType } from "../ir/dtype.ts";
import table from "./cuda-kernels.json" with { type: "json" };

/**
 * The table is that of ONNX Runtime 1.30's own list of kernels (docs/OperatorKernels.md, MIT): for each version range the
 * union of the types of all its type variables, so that a combination of types is not guaranteed.
 */
interface KernelEntry {
  /** `13+`, `[6,12]` or `12`. */
  readonly since: string;
  readonly types: readonly string[];
}

const kernels: Readonly<Record<string, Readonly<Record<string, readonly KernelEntry[]>>>> = table;

/** Types that a kernel takes for this operator at this schema version; undefined where there is no kernel at all. */
export function cudaTypes(domain: string, op: string, version: number): ReadonlySet<string> | undefined {
  const entries = kernels[domain]?.[op]?.filter(({ since }) => covers(since, version)) ?? [];
  return entries.length === 0 ? undefined : new Set(entries.flatMap(({ types }) => types));
}

/** Whether the type is one that kernels are listed with; text and the like never are. */
export function isListed(dtype: DType, types: ReadonlySet<string>): boolean {
  // A few kernels have no type variable at all, and take every type.
  return types.size === 0 || types.has(dtype);
}

function covers(since: string, version: number): boolean {
  const range = /^\[(\d+),\s*(\d+)\]$/.exec(since);
  if (range !== null) return version >= Number(range[1]) && version <= Number(range[2]);
  return since.endsWith("+") ? version >= Number.parseInt(since, 10) : version === Number(since);
}
