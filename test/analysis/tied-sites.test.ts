/** Output layers that are tied to a token table: by one tensor, by a transposed copy, and not by size alone. */
import { describe, expect, it } from "vitest";
import { findSites } from "../../src/analysis/sites.ts";
import { linkTied } from "../../src/analysis/tied-sites.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { parseModel } from "../../src/text/parse.ts";

function tiesOf(head: string, read: string): (string | undefined)[] {
  const model = parseModel(`f (int64[B,S] ids) => (float[B,S,3] y)
  <float[3,2] "embed.weight" = {1, 2, 3, 4, 5, 6}${head}> {
    e = Gather ("embed.weight", ids)
    ${read}
  }`);
  inferModel(model);
  return linkTied(findSites(model.graph)).map(({ tiedTo }) => tiedTo);
}

describe("linkTied", () => {
  it("knows a head that reads the table itself", () => {
    expect(tiesOf("", `w = Transpose <perm = [1, 0]> ("embed.weight")\n y = MatMul (e, w)`)).toEqual([
      undefined,
      "embed",
    ]);
  });

  it("knows a head whose matrix is a transposed copy", () => {
    const copy = `, float[2,3] "head.weight" = {1, 3, 5, 2, 4, 6}`;
    expect(tiesOf(copy, `y = MatMul (e, "head.weight")`)).toEqual([undefined, "embed"]);
  });

  it("leaves a head of the same size with other numbers alone", () => {
    const other = `, float[2,3] "head.weight" = {1, 3, 5, 2, 4, 7}`;
    expect(tiesOf(other, `y = MatMul (e, "head.weight")`)).toEqual([undefined, undefined]);
  });
});
