/** What can be said of the sign of a symbolic dimension, and of comparisons between two. */
import { type Dim, type DimAtom, dimsEqual, isUnknown, subDims, symbol } from "./dim.ts";

/**
 * Whether the dimension is 0 or more for every size of the axes. Named axes are sizes; a dimension about which
 * nothing is known may stand for any whole number.
 */
export function isNonNegative(dim: Dim): boolean {
  if (typeof dim === "number") return dim >= 0;
  return dim.terms.every(
    ({ coefficient, factors }) =>
      coefficient >= 0 && factors.every((key) => isNonNegativeAtom(dim.atoms.get(key))),
  );
}

/** Whether `left` is less than `right`; undefined where that depends on the axes, each of which is 1 or more. */
export function compareLess(left: Dim, right: Dim): boolean | undefined {
  if (dimsEqual(left, right)) return false;
  const difference = subDims(left, right);
  if (isNonNegative(difference)) return false;
  return isPositive(subDims(right, left)) ? true : undefined;
}

/** Whether two dimensions are equal (true), never equal (false), or one cannot say (undefined). */
export function compareEqual(left: Dim, right: Dim): boolean | undefined {
  if (dimsEqual(left, right)) return true;
  const difference = subDims(left, right);
  const apart = isPositive(difference) || isPositive(subDims(right, left));
  return apart ? false : undefined;
}

/** Whether the dimension is 1 or more, given that named axes are. */
function isPositive(dim: Dim): boolean {
  if (typeof dim === "number") return dim > 0;
  if (!isNonNegative(dim)) return false;
  return dim.terms.some(({ factors }) => factors.every((key) => dim.atoms.get(key)?.kind === "symbol"));
}

function isNonNegativeAtom(atom: DimAtom | undefined): boolean {
  if (atom === undefined) return false;
  const { kind } = atom;
  if (kind === "symbol") return !isUnknown(symbol(atom.name));
  if (kind === "max") return isNonNegative(atom.left) || isNonNegative(atom.right);
  if (kind === "mod") return isNonNegative(atom.right);
  return isNonNegative(atom.left) && isNonNegative(atom.right);
}
