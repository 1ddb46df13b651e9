/** How each value of a part of a batch relates to that of the whole batch: the same, rows of it, or a term of a sum. */

import { readValues } from "../ir/captures.ts";
import { type Dim, isUnknown, symbolsOf } from "../ir/dim.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import { roleOf } from "../ir/role.ts";
import type { Value } from "../ir/value.ts";
import { holdsRows } from "../ops/kernels/parts.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { isDeterministic } from "../ops/traits.ts";
import { placeShare } from "./row-places.ts";

/**
 * `same`: does not depend on the rows. `rows`: the parts lie side by side along an axis whose size is a multiple of the
 * number of rows, which is its outermost factor. `sum`: the parts add up. `size`: whole numbers that depend on how many rows
 * there are. `draw`: random numbers, for which any part will do. `place`: numbers of rows, times a stride, with a position
 * `inside` the row added; `pointer`: such numbers beside positions. `whole`: everything else.
 */
export type Share =
  | { readonly kind: "same" | "sum" | "size" | "draw" | "whole" }
  | { readonly kind: "rows" | "pointer"; readonly axis: number }
  | { readonly kind: "place"; readonly axis: number; readonly stride: Dim; readonly inside: boolean };

const same: Share = { kind: "same" };
const whole: Share = { kind: "whole" };

/** Walks a graph from first node to last; types must be those of a part, with `rows` for its number of rows. */
export class BatchParts {
  readonly rows: Dim;
  readonly #shares = new Map<Value, Share>();

  constructor(rows: Dim) {
    this.rows = rows;
  }

  set(value: Value, share: Share): void {
    this.#shares.set(value, share);
  }

  /** Inputs and constants of which nothing was said are the same for all parts; an input that draws is a `draw`. */
  of(value: Value): Share {
    return this.#shares.get(value) ?? (roleOf(value) === "rng" ? { kind: "draw" } : same);
  }

  /** Axis of the rows, where the value has rows. */
  axisOf(value: Value | null | undefined): number | undefined {
    const share = value == null ? same : this.of(value);
    return share.kind === "rows" ? share.axis : undefined;
  }

  /** Finds the shares of a node's results; its operands and the types of its results must be known. */
  visit(node: Node): void {
    for (const output of node.outputs) if (output !== null) this.set(output, this.#shareOf(node, output));
  }

  #shareOf(node: Node, output: Value): Share {
    const read = [...readValues(node)].map((value) => this.of(value).kind);
    if (!isDeterministic(node)) return whole;
    if (read.every((kind) => kind === "same")) return same;
    const known = this.#knownSize(output);
    if (known !== undefined) return known;
    const place = placeShare(node, this);
    if (place !== undefined) return place.kind === "rows" ? this.#checked(place, output) : place;
    if (isSize(output, read)) return { kind: "size" };
    if (read.includes("whole")) return whole;
    if (read.includes("draw")) return this.#drawShare(node, output, read);
    return this.#ruleShare(node, output);
  }

  /** Whole numbers of which shape inference knows what they are. */
  #knownSize({ content }: Value): Share | undefined {
    if (content === undefined || content.some(isUnknown)) return undefined;
    return content.some((dim) => this.#dependsOnRows(dim)) ? { kind: "size" } : same;
  }

  #dependsOnRows(dim: Dim): boolean {
    const [name] = symbolsOf(this.rows);
    return name !== undefined && symbolsOf(dim).has(name);
  }

  /** What is made of random numbers and sizes alone is random; it takes rows when it is given a shape that has them. */
  #drawShare(node: Node, output: Value, read: readonly Share["kind"][]): Share {
    if (!read.every((kind) => kind === "draw" || kind === "same" || kind === "size")) return whole;
    const shape = output.tensorType?.shape;
    const axis = shape?.findIndex((dim) => holdsRows(dim, this.rows)) ?? -1;
    if (shape !== undefined && shape.length > 1 && axis >= 0)
      return this.#checked({ kind: "rows", axis }, output);
    return node.subgraphs().length === 0 ? { kind: "draw" } : whole;
  }

  #ruleShare(node: Node, output: Value): Share {
    const op = opOf(node);
    if (op?.parts === undefined || node.subgraphs().length > 0) return whole;
    const sizesInPlace = node.inputs.every((input, index) => {
      if (input === null || this.of(input).kind !== "size") return true;
      return op.hostInputs.has(paramAt(op.inputs, index)?.name ?? "");
    });
    if (!sizesInPlace) return whole;
    const found = op.parts({
      node,
      rows: this.rows,
      axisOf: (index) => this.axisOf(node.input(index)),
      isSum: (index) => {
        const input = node.input(index);
        return input !== undefined && this.of(input).kind === "sum";
      },
    });
    if (found === undefined) return whole;
    return this.#checked(found === "sum" ? { kind: "sum" } : { kind: "rows", axis: found }, output);
  }

  /** Holds a share against the type of the result: rows along the one axis that has them, and along none in a sum. */
  #checked(share: Share, output: Value): Share {
    const shape = output.tensorType?.shape;
    if (shape === undefined) return whole;
    const fits = shape.every((dim, axis) =>
      share.kind === "rows" && axis === share.axis ? holdsRows(dim, this.rows) : !this.#dependsOnRows(dim),
    );
    return fits ? share : whole;
  }
}

/** Whether a value is a small vector of whole numbers made of sizes alone. */
function isSize({ tensorType }: Value, read: readonly Share["kind"][]): boolean {
  const ofSizes = read.every((kind) => kind === "same" || kind === "size");
  return (
    ofSizes && tensorType !== undefined && !isFloat(tensorType.dtype) && (tensorType.shape?.length ?? 2) <= 1
  );
}
