/** Rules for casts: those to the own type, and pairs of which the first loses nothing. */
import { type DType, dtypeFromCode, isFloat } from "../../ir/dtype.ts";
import { type Rule, rule } from "../rule.ts";
import { hasTypeOfCode } from "./proofs.ts";

/** Types that hold every value of the key exactly. */
const wider: Partial<Record<DType, readonly DType[]>> = {
  bool: [
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
  ],
  int8: ["int16", "int32", "int64", "float16", "float32", "float64"],
  int16: ["int32", "int64", "float32", "float64"],
  int32: ["int64", "float64"],
  uint8: ["int16", "int32", "int64", "uint16", "uint32", "uint64", "float16", "float32", "float64"],
  uint16: ["int32", "int64", "uint32", "uint64", "float32", "float64"],
  uint32: ["int64", "uint64", "float64"],
  float16: ["float32", "float64"],
  bfloat16: ["float32", "float64"],
  float32: ["float64"],
};

/** Types whose casts have no further attributes to mind. */
const plain: ReadonlySet<DType> = new Set([...Object.values(wider).flat(), "bfloat16"]);

const dropCast = rule("drop-cast-to-same-type", {
  match: (p) => p.Cast(p.x, { to: p.t }),
  when: ({ x, t }) => hasTypeOfCode(x, t),
  build: ({ x }) => x,
});

/**
 * Cast(Cast(x)) where the first cast is exact. Integers that pass through a float keep the pair unless a float
 * comes out: what a float that is too large becomes as an integer is not defined.
 */
const mergeCasts = rule("merge-casts", {
  match: (p) => p.Cast(p.Cast(p.x), { to: p.t }),
  when: ({ x, t }, root) => {
    const [from, middle] = [x.tensorType?.dtype, root.input(0)?.tensorType?.dtype];
    const to = dtypeFromCode(t ?? 0);
    if (from === undefined || middle === undefined || to === undefined) return "a type is not known";
    if (wider[from]?.includes(middle) !== true) return "the first cast may round";
    if (!plain.has(to)) return "the last type has casts of its own kind";
    return (
      from === to || !isFloat(middle) || isFloat(from) || isFloat(to) || "an integer passes through a float"
    );
  },
  build: ({ x, t }, b) => b.cast(x, dtypeFromCode(t ?? 0) ?? "float32"),
});

/** CastLike reads its second operand for the type only, which is known. */
const lowerCastLike = rule("lower-cast-like", {
  match: (p) => p.CastLike(p.x, p.y),
  when: ({ y }) => {
    const to = y.tensorType?.dtype;
    return to === undefined ? "the type is not known" : plain.has(to) || "the type has casts of its own kind";
  },
  build: ({ x, y }, b) => b.castLike(x, y),
});

export const castRules: readonly Rule[] = [dropCast, mergeCasts, lowerCastLike];
