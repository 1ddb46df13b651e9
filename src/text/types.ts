/** Types of values as text: `float[batch,64]`, `seq(int64)`, `float` for a scalar, `float[]` for an unknown rank. */
import type { Shape } from "../ir/shape.ts";
import type { ValueType } from "../ir/type.ts";
import type { Aliases } from "./aliases.ts";
import { printDim } from "./dims.ts";
import { typeName } from "./grammar.ts";

/** Text of a type; see {@link printDim} for what `place` changes. */
export function printType(type: ValueType, place: "code" | "comment", aliases: Aliases): string {
  const inner = (part: ValueType): string => printType(part, place, aliases);
  switch (type.kind) {
    case "tensor":
      return typeName(type.dtype) + printShape(type.shape, place);
    case "sparse":
      return `sparse_tensor(${typeName(type.dtype)}${printShape(type.shape, place)})`;
    case "sequence":
      return `seq(${inner(type.element)})`;
    case "optional":
      return `optional(${inner(type.element)})`;
    case "map":
      return `map(${typeName(type.key)}, ${inner(type.value)})`;
    case "opaque":
      if (type.domain === "") return `opaque(${aliases.dotted(type.name)})`;
      return `opaque(${aliases.dotted(type.domain)},${aliases.identifier(type.name)})`;
  }
}

function printShape(shape: Shape | undefined, place: "code" | "comment"): string {
  if (shape === undefined) return "[]";
  return shape.length === 0 ? "" : `[${shape.map((dim) => printDim(dim, place)).join(",")}]`;
}
