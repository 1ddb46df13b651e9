/** Sizes of axes from their text. */
import { describe, expect, it } from "vitest";
import { axisSize } from "../../src/artifact/axis-size.ts";
import {
  addDims,
  type Dim,
  floorDivDims,
  maxDims,
  minDims,
  modDims,
  mulDims,
  subDims,
  substituteDim,
  symbol,
} from "../../src/ir/dim.ts";

const sizes: Readonly<Record<string, number>> = { batch: 3, seq: 17, Mul_3_dim_0: 5, "?12": 4 };
const sizeOf = (name: string): number => sizes[name] ?? Number.NaN;
const [batch, seq] = [symbol("batch"), symbol("seq")];

describe("axisSize", () => {
  const dims: readonly Dim[] = [
    seq,
    symbol("?12"),
    mulDims(mulDims(batch, seq), 2),
    subDims(mulDims(seq, seq), addDims(batch, 4)),
    subDims(1, mulDims(batch, -2)),
    subDims(4, symbol("Mul_3_dim_0")),
    addDims(floorDivDims(subDims(seq, 10), 5), 1),
    floorDivDims(subDims(2, seq), 4),
    modDims(subDims(2, seq), 4),
    maxDims(floorDivDims(seq, 4), minDims(batch, subDims(seq, 20))),
  ];
  it.each(dims.map((dim) => ({ text: String(dim), dim })))("$text", ({ text, dim }) => {
    expect(axisSize(text, sizeOf)).toBe(substituteDim(dim, sizeOf));
  });

  it.each(["", "batch seq", "max(batch)", "batch +", "floordiv(batch, seq", "batch / seq"])(
    "refuses %j",
    (text) => {
      expect(axisSize(text, sizeOf)).toBeUndefined();
    },
  );
});
