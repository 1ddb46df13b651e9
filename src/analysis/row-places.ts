/** Row numbers as exporters compute them, and what they pick: a mask at its own places, row by row. */
import { type Dim, dimsEqual, floorDivDims, mulDims } from "../ir/dim.ts";
import type { Node } from "../ir/node.ts";
import { normalizeAxis } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import { rankOf } from "../ops/facts.ts";
import { contentOf } from "../ops/kernels/content.ts";
import { partsOfSpread, partsOfView } from "../ops/kernels/parts.ts";
import { opOf } from "../ops/registry.ts";
import type { BatchParts, Share } from "./batch-parts.ts";

/**
 * What a node makes of row numbers, undefined where no row numbers come in. Exporters that turn `mask[row, position]` into one
 * product of indices write `Gather(flat mask, row * length + position)` or `GatherND(mask, [row, position])`: within a part, rows
 * are counted from its own first one, and so are the rows that are picked from.
 */
export function placeShare(node: Node, parts: BatchParts): Share | undefined {
  if (node.op === "Range" && countsTo(node, parts.rows))
    return { kind: "place", axis: 0, stride: 1, inside: false };
  const shares = node.inputs.map((input) => (input === null ? undefined : parts.of(input)));
  const at = shares.findIndex((share) => share?.kind === "place" || share?.kind === "pointer");
  const place = shares[at];
  if (place?.kind === "pointer") return pickedByPointer(node, place.axis, shares);
  if (place?.kind !== "place") return undefined;
  switch (node.op) {
    case "Mul":
      return scaled(place, node.input(1 - at), shares[1 - at]);
    case "Add":
      return moved(place, node.input(1 - at), shares[1 - at]);
    case "Gather":
      return at === 1 ? picked(node, place, shares[0], parts.rows) : { kind: "whole" };
    case "Concat":
      return pointer(node, place, shares);
    default:
      return reshaped(node, place, at, parts);
  }
}

type Place = Extract<Share, { kind: "place" }>;

/** Whether a Range counts 0, 1, ... up to a size. */
function countsTo(node: Node, size: Dim): boolean {
  const [start, limit, step] = [0, 1, 2].map((index) => contentOf(node.input(index))?.[0]);
  return start === 0 && step === 1 && limit !== undefined && dimsEqual(limit, size);
}

function scaled(place: Place, by: Value | undefined, share: Share | undefined): Share {
  const content = contentOf(by);
  const [size] = content ?? [];
  const known = share?.kind === "same" || share?.kind === "size";
  if (!known || content?.length !== 1 || size === undefined || place.inside) return { kind: "whole" };
  return { ...place, stride: mulDims(place.stride, size) };
}

/** Positions within a row are counted from 0 up to the length of the row. */
function moved(place: Place, by: Value | undefined, share: Share | undefined): Share {
  if (share?.kind !== "same" || place.inside || by === undefined) return { kind: "whole" };
  let value: Value | undefined = by;
  while (value?.producer !== undefined && opOf(value.producer)?.parts === partsOfView)
    value = value.producer.input(0);
  const counted = value?.producer?.op === "Range" && countsTo(value.producer, place.stride);
  return counted ? { ...place, inside: true } : { kind: "whole" };
}

function picked(node: Node, place: Place, from: Share | undefined, rows: Dim): Share {
  const x = node.input(0);
  const axis = x && normalizeAxis(node.int("axis", 0), rankOf(x));
  const size = axis === undefined ? undefined : x?.tensorType?.shape?.[axis];
  if (from?.kind !== "rows" || size === undefined || from.axis !== axis) return { kind: "whole" };
  const fits = dimsEqual(floorDivDims(size, rows), place.stride) && (place.inside || place.stride === 1);
  return fits ? { kind: "rows", axis: axis + place.axis } : { kind: "whole" };
}

/** Row numbers before positions, side by side along the last axis. */
function pointer(node: Node, place: Place, shares: readonly (Share | undefined)[]): Share {
  const rank = rankOf(node.output(0));
  const last = normalizeAxis(node.int("axis", 0), rank) === rank - 1;
  const [first, ...rest] = shares;
  const own = first === place && place.stride === 1 && !place.inside && place.axis < rank - 1;
  const beside = rest.every(
    (share) => share?.kind === "same" || (share?.kind === "rows" && share.axis === place.axis),
  );
  return last && own && beside ? { kind: "pointer", axis: place.axis } : { kind: "whole" };
}

function pickedByPointer(node: Node, axis: number, shares: readonly (Share | undefined)[]): Share {
  const [x, indices] = shares;
  const own = node.op === "GatherND" && indices?.kind === "pointer" && node.int("batch_dims", 0) === 0;
  return own && x?.kind === "rows" && x.axis === 0 ? { kind: "rows", axis } : { kind: "whole" };
}

function reshaped(node: Node, place: Place, at: number, parts: BatchParts): Share {
  const rule = opOf(node)?.parts;
  if (at !== 0 || (rule !== partsOfView && rule !== partsOfSpread)) return { kind: "whole" };
  const axis = rule({
    node,
    rows: parts.rows,
    axisOf: (index) => (index === 0 ? place.axis : undefined),
    isSum: () => false,
  });
  return typeof axis === "number" ? { ...place, axis } : { kind: "whole" };
}
