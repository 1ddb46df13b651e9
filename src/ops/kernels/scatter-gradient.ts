/**
 * Gradients of Scatter operators for every reduction, written from gathers and scatters at the same places.
 */
import { InternalError } from "../../diagnostics/define.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import type { GradientThunk } from "../record.ts";
import { once } from "./once.ts";
import { stateShape } from "./shape-vector.ts";

/** The places that the indices of a node point at. */
export interface Places {
  /** The elements of a tensor of the shape of `x` at the places, in the shape of the updates. */
  readonly gather: (values: Value) => Value;
  readonly scatter: (base: Value, updates: Value, reduction: "none" | "add" | "mul") => Value;
}

/** What the rules are written from. */
export interface ScatterContext {
  readonly x: Value;
  readonly updates: Value;
  readonly y: Value;
  readonly g: () => Value;
  readonly reduction: string;
  readonly places: Places;
}

/** Gradients of the operands `x` and `updates`. */
export function scatterGradients(
  b: OpBuilder,
  context: ScatterContext,
): { readonly x: GradientThunk; readonly updates: GradientThunk } {
  const { updates, g, reduction, places } = context;
  switch (reduction) {
    case "none":
      return {
        x: () => places.scatter(g(), b.zerosLike(updates), "none"),
        updates: () => stateShape(places.gather(g()), updates),
      };
    case "add":
      return { x: g, updates: () => stateShape(places.gather(g()), updates) };
    case "mul":
      return productGradients(b, context);
    case "max":
    case "min":
      return extremumGradients(b, context);
    default:
      throw new InternalError(`reduction "${reduction}"`);
  }
}

/**
 * `y = x * product of updates`. The product of all other factors is taken with zeros left out and counted, so
 * that it is right where one factor is 0.
 */
function productGradients(
  b: OpBuilder,
  { x, updates, g, places }: ScatterContext,
): ReturnType<typeof scatterGradients> {
  const others = (): Value => {
    const isZero = b.equal(updates, 0);
    const nonzero = b.where(isZero, 1, updates);
    const zero = b.cast(isZero, dtypeOf(updates));
    const product = places.gather(places.scatter(b.fillLike(x, 1), nonzero, "mul"));
    const zeros = places.gather(places.scatter(b.zerosLike(x), zero, "add"));
    return b.where(b.equal(zeros, zero), b.div(product, nonzero), 0);
  };
  return {
    x: () => b.mul(g(), places.scatter(b.fillLike(x, 1), updates, "mul")),
    updates: () => stateShape(b.mul(places.gather(b.mul(g(), x)), others()), updates),
  };
}

/** Goes to the operands that reach the extremum, in equal parts where several do. */
function extremumGradients(
  b: OpBuilder,
  { x, updates, y, g, places }: ScatterContext,
): ReturnType<typeof scatterGradients> {
  const dtype = dtypeOf(x);
  const parts = once(() => {
    const ofX = b.cast(b.equal(x, y), dtype);
    const ofUpdates = b.cast(b.equal(updates, places.gather(y)), dtype);
    return { ofX, ofUpdates, share: b.div(g(), places.scatter(ofX, ofUpdates, "add")) };
  });
  return {
    x: () => b.mul(parts().share, parts().ofX),
    updates: () => stateShape(b.mul(places.gather(parts().share), parts().ofUpdates), updates),
  };
}
