/** Output layers whose weight is the table of an embedding, be it one tensor of the file or a copy of it. */
import type { Tensor } from "../ir/tensor.ts";
import type { EmbeddingSite, LinearSite, Site, SiteParameter } from "./sites.ts";

/** The same sites, where a linear one that is tied to an embedding among them has the embedding's path in `tiedTo`. */
export function linkTied(sites: readonly Site[]): Site[] {
  const tables = sites.filter((site): site is EmbeddingSite => site.kind === "embedding");
  return sites.map((site) => {
    const table = site.kind === "linear" ? tables.find((each) => isTied(each, site)) : undefined;
    return table === undefined ? site : { ...site, tiedTo: table.path.replace(/#\d+$/, "") };
  });
}

function isTied(table: EmbeddingSite, linear: LinearSite): boolean {
  if (table.rows !== linear.outFeatures || table.width !== linear.inFeatures) return false;
  if (table.weight.value === linear.weight.value) return true;
  const [left, right] = [table.weight.value.initializer, linear.weight.value.initializer];
  if (left === undefined || right === undefined || left.dtype !== right.dtype) return false;
  const [a, b] = [wordsOf(left), wordsOf(right)];
  if (a === undefined || b === undefined) return false;
  const [ofTable, ofLinear] = [stridesOf(table.weight), stridesOf(linear.weight)];
  for (let row = 0; row < table.rows; row++) {
    for (let column = 0; column < table.width; column++) {
      const at = row * ofTable.row + column * ofTable.column;
      // Most weights that are no copies differ at once.
      if (a[at] !== b[row * ofLinear.row + column * ofLinear.column]) return false;
    }
  }
  return true;
}

/** Distances of rows and columns of the matrix in PyTorch's layout. */
function stridesOf({ value, storedAs }: SiteParameter): { row: number; column: number } {
  const width = value.initializer?.dims[1] ?? 0;
  return storedAs === "torch" ? { row: width, column: 1 } : { row: 1, column: width };
}

/** Elements as bit patterns; undefined for widths that no float has. */
function wordsOf(tensor: Tensor): Uint32Array | Uint16Array | undefined {
  const bytes = tensor.bytes();
  const width = tensor.byteLength / Math.max(1, tensor.size);
  const { buffer, byteOffset, length } = byteOffsetFits(bytes, width) ? bytes : bytes.slice();
  if (width === 4) return new Uint32Array(buffer, byteOffset, length / 4);
  return width === 2 ? new Uint16Array(buffer, byteOffset, length / 2) : undefined;
}

function byteOffsetFits({ byteOffset }: Uint8Array, width: number): boolean {
  return byteOffset % width === 0;
}
