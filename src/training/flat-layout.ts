/** Flat vectors as the tensors that they hold, for updates that treat some tensors in a way of their own. */
import { InternalError } from "../diagnostics/define.ts";
import { countElements } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";
import type { FlatSlice } from "./flatten.ts";

/** Tensors of a flat vector, in order, cut out and put together again. */
export class FlatLayout {
  readonly slices: readonly FlatSlice[];

  constructor(slices: readonly FlatSlice[]) {
    this.slices = slices;
  }

  /** The tensors of a vector in their shapes, one for each slice. */
  split(b: OpBuilder, flat: Value): Value[] {
    return this.pieces(b, flat).map((piece, i) => b.reshape(piece, this.slices[i]?.shape ?? []));
  }

  /** The vector of tensors, given in the order of the slices. */
  join(b: OpBuilder, tensors: readonly Value[]): Value {
    if (tensors.length !== this.slices.length) throw new InternalError("a flat vector lacks a tensor");
    const [only, ...others] = tensors.map((tensor) => b.reshape(tensor, [-1]));
    if (only === undefined) throw new InternalError("a flat vector of no tensors");
    return others.length === 0 ? only : b.concat([only, ...others], 0);
  }

  /** A vector whose tensors are the results of a function of those given; a tensor that it gives back stays where it is. */
  map(b: OpBuilder, flat: Value, change: (tensor: Value, slice: FlatSlice, index: number) => Value): Value {
    const changed = this.split(b, flat).map((tensor, i) => {
      const slice = this.slices[i];
      if (slice === undefined) throw new InternalError("a flat vector lacks a slice");
      return change(tensor, slice, i);
    });
    return this.join(b, changed);
  }

  private pieces(b: OpBuilder, flat: Value): Value[] {
    if (this.slices.length === 1) return [flat];
    const sizes = this.slices.map(({ shape }) => countElements(shape));
    return b.ops("Split", [flat, b.ints(sizes)], { axis: 0 }, sizes.length);
  }
}
