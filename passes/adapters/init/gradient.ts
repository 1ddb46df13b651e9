/** LoRA-GA: A and B start with singular parts of the gradient of the loss by the weight. */
import { singularParts } from "../parts/svd.ts";

export interface GradientStart {
  readonly r: number;
  readonly scaling: number;
  readonly direction: "ArBr" | "A2rBr" | "ArB2r" | "random";
  readonly scale: "stable" | "weight_svd" | "gd_scale" | "unit";
  readonly gamma: number;
  /** Largest singular value of the weight. */
  readonly weightNorm: () => number;
  /** Uniform in [0, 1). */
  readonly draw: () => number;
}

/** Which singular parts A and B have: of the first 2 r, r each. */
function partsOf({ r, direction, draw }: GradientStart): { A: number[]; B: number[] } {
  const first = Array.from({ length: r }, (_, i) => i);
  const behind = first.map((i) => r + i);
  if (direction === "ArBr") return { A: first.map((i) => 2 * i + 1), B: first.map((i) => 2 * i) };
  if (direction === "A2rBr") return { A: behind, B: first };
  if (direction === "ArB2r") return { A: first, B: behind };
  const all = [...first, ...behind];
  for (let i = all.length - 1; i > 0; i--) {
    const other = Math.floor(draw() * (i + 1));
    const [a = 0, b = 0] = [all[i], all[other]];
    [all[i], all[other]] = [b, a];
  }
  const chosen = all.slice(0, r);
  return { A: chosen, B: chosen };
}

/** A (r, columns) are right singular vectors, B (rows, r) left ones times their values (Wang et al. 2024, section 3.2), as PEFT scales them. */
export function gradientFactors(
  gradient: Float64Array,
  [rows, columns]: readonly [number, number],
  start: GradientStart,
): { A: Float32Array<ArrayBuffer>; B: Float32Array<ArrayBuffer> } {
  const { r, scale, scaling, gamma, weightNorm } = start;
  const count = 2 * r;
  const { left, values, right } = singularParts(gradient, rows, columns, count);
  const chosen = partsOf(start);
  const largest = values[chosen.B[0] ?? 0] ?? 0;
  const [ofA, ofB] =
    scale === "stable"
      ? [1, rows ** 0.25 / Math.sqrt(gamma)]
      : scale === "weight_svd"
        ? [1, largest > 0 ? weightNorm() / largest : 1]
        : scale === "gd_scale"
          ? [1 / scaling, 1 / scaling]
          : [1, 1];
  return {
    A: Float32Array.from(
      { length: r * columns },
      (_, at) => ofA * (right[(chosen.A[Math.floor(at / columns)] ?? 0) * columns + (at % columns)] ?? 0),
    ),
    B: Float32Array.from({ length: rows * r }, (_, at) => {
      const part = chosen.B[at % r] ?? 0;
      return ofB * (left[Math.floor(at / r) * count + part] ?? 0) * (values[part] ?? 0);
    }),
  };
}
