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
    const joined = flat.producer?.op === "Concat" ? flat.producer.inputs : [];
    const parts = joined.flatMap((part, i) =>
      part !== null && sizeOf(part) === this.sizeAt(i) ? [part] : [],
    );
    if (parts.length === joined.length && parts.length === this.slices.length) return parts;
    const sizes = this.slices.map(({ shape }) => countElements(shape));
    return b.ops("Split", [flat, b.ints(sizes)], { axis: 0 }, sizes.length);
  }

  private sizeAt(index: number): number | undefined {
    const slice = this.slices[index];
    return slice === undefined ? undefined : countElements(slice.shape);
  }
}

/** Elements of a vector, undefined where they are not known or it is none. */
function sizeOf(value: Value): number | undefined {
  const shape = value.tensorType?.shape;
  const [size] = shape ?? [];
  return shape?.length === 1 && typeof size === "number" ? size : undefined;
}

/** Some tensors of a flat vector as a vector of their own, in an order of its own. */
export class FlatPart {
  readonly layout: FlatLayout;
  readonly whole: FlatLayout;
  private readonly places: readonly number[];

  /** @param places which slices of the whole it has. */
  constructor(whole: FlatLayout, places: readonly number[]) {
    this.whole = whole;
    this.places = places;
    this.layout = new FlatLayout(places.flatMap((place) => whole.slices[place] ?? []));
  }

  /** The part of a whole vector. */
  take(b: OpBuilder, flat: Value): Value {
    if (this.isWhole) return flat;
    const tensors = this.whole.split(b, flat);
    return this.layout.join(
      b,
      this.places.flatMap((place) => tensors[place] ?? []),
    );
  }

  /** A whole vector with this part replaced. */
  put(b: OpBuilder, flat: Value, part: Value): Value {
    if (this.isWhole) return part;
    const changed = this.layout.split(b, part);
    const at = new Map(this.places.map((place, i) => [place, changed[i]]));
    return this.whole.map(b, flat, (tensor, _, i) => at.get(i) ?? tensor);
  }

  private get isWhole(): boolean {
    return this.places.length === this.whole.slices.length && this.places.every((place, i) => place === i);
  }
}

/** The slices at offsets of their own, one behind the other. */
export function placed(slices: readonly FlatSlice[]): FlatSlice[] {
  let offset = 0;
  return slices.map((slice) => {
    const at = { ...slice, offset };
    offset += countElements(slice.shape);
    return at;
  });
}
