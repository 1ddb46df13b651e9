/** `defineUnary`: the short form of `defineOp` for element-wise operators of one operand. */
import type { Dim } from "../../ir/dim.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { NDArray } from "../ndarray.ts";
import type { AttributeTable, AttributeValues } from "../params.ts";
import type { Inferred, Op, PrecisionClass } from "../record.ts";
import { mapNumbers } from "./elementwise.ts";
import { partsOfElements } from "./parts.ts";
import { selectElements } from "./select-along.ts";

/** What the derivative of `y = f(x)` is written from; `g` is the gradient of `y`. */
export interface UnaryGradientContext<A extends AttributeTable> {
  readonly x: Value;
  readonly y: Value;
  readonly g: Value;
  readonly b: OpBuilder;
  readonly attrs: AttributeValues<A>;
}

/** What the author of such an operator writes. */
export interface UnarySpec<A extends AttributeTable> {
  readonly type: string;
  readonly versions: readonly number[];
  readonly attributes: A;
  readonly precision: PrecisionClass;
  readonly downgrades?: Op["downgrades"];
  /** Whether the runtime's kernel writes over its operand where it may. */
  readonly inPlace?: boolean;
  readonly value: (x: number, attrs: AttributeValues<A>) => number;
  /** The function on 64-bit integers, where the operator takes them. */
  readonly bigints?: (x: bigint) => bigint;
  /** The function on symbolic contents, where it keeps shape arithmetic alive. */
  readonly content?: (x: Dim) => Dim;
  /** Gradient of `x`, or why there is nothing to give. */
  readonly gradient:
    | ((context: UnaryGradientContext<A>) => Value)
    | { readonly kind: "zero"; readonly reason: string };
}

/** Declares an operator `y = f(x)` whose result has the type and shape of its operand. */
export function defineUnary<A extends AttributeTable>(spec: UnarySpec<A>): Op {
  const { type, versions, attributes, precision, value, bigints, content, gradient, downgrades = {} } = spec;
  const { inPlace = false } = spec;
  return defineOp({
    type,
    versions,
    inputs: ["x"],
    outputs: ["y"],
    attributes,
    downgrades,
    infer: ({ in: { x } }) => [inferMapped(x, content)],
    evaluate: ({ in: { x }, attrs, exact }) => [
      bigints !== undefined && (x.data instanceof BigInt64Array || x.data instanceof BigUint64Array)
        ? new NDArray(x.dtype, x.shape, x.data.map(bigints))
        : mapNumbers(x, (element) => value(element, attrs), { exact }),
    ],
    precision,
    select: selectElements,
    parts: partsOfElements,
    ...(inPlace && { cost: { overwrites: "x" } as const }),
    rankFree: true,
    gradient:
      typeof gradient === "function"
        ? ({ in: { x }, out: { y }, grad, attrs, b }) => ({
            x: () => gradient({ x, y, g: grad.y, attrs, b }),
          })
        : gradient,
  });
}

function inferMapped(x: Value, content: ((x: Dim) => Dim) | undefined): Inferred {
  const type = x.tensorType;
  if (type === undefined || x.content === undefined || content === undefined) return x.type;
  return { type, content: x.content.map(content) };
}
