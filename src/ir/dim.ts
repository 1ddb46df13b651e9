/** Symbolic dimensions: integer polynomials over named axes, with floor division, minimum and maximum as atoms. */

/** A dimension: a number where it is known, else an expression over the model's symbolic axes. */
export type Dim = number | DimExpr;

/** A factor that is no further reduced: an axis name, or an operation on two dimensions. */
export type DimAtom =
  | { readonly kind: "symbol"; readonly name: string }
  | { readonly kind: "floordiv" | "mod" | "max" | "min"; readonly left: Dim; readonly right: Dim };

interface Term {
  readonly coefficient: number;
  /** Atom keys, sorted, repeated for powers. */
  readonly factors: readonly string[];
}

/** A polynomial with whole coefficients in canonical form; equal expressions have equal keys. */
export class DimExpr {
  /** Canonical text, such as `batch*seq + 1`; also what printing shows. */
  readonly key: string;
  readonly terms: readonly Term[];
  readonly atoms: ReadonlyMap<string, DimAtom>;

  constructor(terms: readonly Term[], atoms: ReadonlyMap<string, DimAtom>) {
    this.terms = terms;
    this.atoms = atoms;
    this.key = printTerms(terms);
  }

  toString(): string {
    return this.key;
  }
}

/**
 * Largest expression that is kept, in terms and in characters of its text; what would be larger is an unknown. Shape
 * arithmetic of real models stays far below, and products of sums would grow without end.
 */
const mostTerms = 64;
const longestText = 1024;

/** The dimension named `name`, equal to every other use of that name in the same model. */
export function symbol(name: string): DimExpr {
  return fromAtom(name, { kind: "symbol", name });
}

let unknownCount = 0;

/** A dimension about which nothing is known: equal to itself only. */
export function unknownDim(): DimExpr {
  unknownCount += 1;
  return symbol(`?${unknownCount}`);
}

/** Whether the dimension is one that {@link unknownDim} made. */
export function isUnknown(dim: Dim): boolean {
  return typeof dim !== "number" && /^\?\d+$/.test(dim.key);
}

export function addDims(left: Dim, right: Dim): Dim {
  return fromTerms([...termsOf(left), ...termsOf(right)], mergeAtoms(left, right));
}

export function subDims(left: Dim, right: Dim): Dim {
  return addDims(left, mulDims(right, -1));
}

export function mulDims(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number") return left * right;
  if (termsOf(left).length * termsOf(right).length > mostTerms) return unknownDim();
  const products = termsOf(left).flatMap((a) =>
    termsOf(right).map((b) => ({
      coefficient: a.coefficient * b.coefficient,
      factors: [...a.factors, ...b.factors].sort(),
    })),
  );
  return fromTerms(products, mergeAtoms(left, right));
}

/**
 * Floor division. Exact where `right` divides `left` as polynomials (`6*batch*seq / (2*seq)` is `3*batch`, and
 * `(batch*past + batch*seq) / (past + seq)` is `batch`), else an atom. Axes are taken to be positive.
 */
export function floorDivDims(left: Dim, right: Dim): Dim {
  if (right === 1) return left;
  if (typeof left === "number" && typeof right === "number") {
    return right === 0 ? unknownDim() : Math.floor(left / right);
  }
  if (left === 0) return 0;
  const exact = divideExactly(left, right);
  return exact ?? combine("floordiv", left, right);
}

/** Remainder of {@link floorDivDims}. */
export function modDims(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number") {
    return right === 0 ? unknownDim() : left - right * Math.floor(left / right);
  }
  if (divideExactly(left, right) !== undefined) return 0;
  return combine("mod", left, right);
}

export function maxDims(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number") return Math.max(left, right);
  if (dimsEqual(left, right)) return left;
  const difference = subDims(left, right);
  if (typeof difference === "number") return difference > 0 ? left : right;
  return combine("max", left, right);
}

export function minDims(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number") return Math.min(left, right);
  if (dimsEqual(left, right)) return left;
  const difference = subDims(left, right);
  if (typeof difference === "number") return difference > 0 ? right : left;
  return combine("min", left, right);
}

/** `ceil(left / right)`, by floor division. */
export function ceilDivDims(left: Dim, right: Dim): Dim {
  // Shorter, and equal for whole numbers, where the divisor is known to be positive.
  if (typeof right === "number" && right > 0) return floorDivDims(addDims(left, right - 1), right);
  return mulDims(floorDivDims(mulDims(left, -1), right), -1);
}

/** Whether two dimensions are the same for every size of the axes; false says only that this is not proven. */
export function dimsEqual(left: Dim, right: Dim): boolean {
  if (typeof left === "number" || typeof right === "number") return left === right;
  return left === right || left.key === right.key;
}

/** Whether the difference of two dimensions is a number other than 0, so that they are never equal. */
export function dimsDiffer(left: Dim, right: Dim): boolean {
  const difference = subDims(left, right);
  return typeof difference === "number" && difference !== 0;
}

/** Replaces symbols by what `lookup` gives for them; those for which it gives nothing stay. */
export function substituteDim(dim: Dim, lookup: (name: string) => Dim | undefined): Dim {
  if (typeof dim === "number") return dim;
  let sum: Dim = 0;
  for (const { coefficient, factors } of dim.terms) {
    let product: Dim = coefficient;
    for (const key of factors) {
      const atom = dim.atoms.get(key);
      product = mulDims(product, atom === undefined ? symbol(key) : substituteAtom(key, atom, lookup));
    }
    sum = addDims(sum, product);
  }
  return sum;
}

/** Names of the axes in a dimension, each once. */
export function symbolsOf(dim: Dim): Set<string> {
  const names = new Set<string>();
  const visit = (part: Dim): void => {
    if (typeof part === "number") return;
    for (const atom of part.atoms.values()) {
      if (atom.kind === "symbol") names.add(atom.name);
      else [atom.left, atom.right].forEach(visit);
    }
  };
  visit(dim);
  return names;
}

function substituteAtom(key: string, atom: DimAtom, lookup: (name: string) => Dim | undefined): Dim {
  if (atom.kind === "symbol") return lookup(atom.name) ?? fromAtom(key, atom);
  const left = substituteDim(atom.left, lookup);
  const right = substituteDim(atom.right, lookup);
  const operations = { floordiv: floorDivDims, mod: modDims, max: maxDims, min: minDims };
  return operations[atom.kind](left, right);
}

/**
 * The quotient where `right` divides `left` without a rest, by long division of polynomials in a fixed order of terms
 * (Cox, Little and O'Shea, "Ideals, Varieties, and Algorithms", ch. 2 section 3).
 */
function divideExactly(left: Dim, right: Dim): Dim | undefined {
  const divisor = inOrder(termsOf(right));
  const lead = divisor[0];
  if (lead === undefined) return undefined;
  const quotient: Term[] = [];
  let rest = left;
  for (let first = inOrder(termsOf(rest))[0]; first !== undefined; first = inOrder(termsOf(rest))[0]) {
    const term = divideTerms(first, lead);
    if (term === undefined) return undefined;
    quotient.push(term);
    rest = subDims(rest, mulDims(fromTerms([term], mergeAtoms(left, right)), right));
  }
  return fromTerms(quotient, mergeAtoms(left, right));
}

function divideTerms(term: Term, by: Term): Term | undefined {
  const factors = [...term.factors];
  for (const factor of by.factors) {
    const at = factors.indexOf(factor);
    if (at < 0) return undefined;
    factors.splice(at, 1);
  }
  if (term.coefficient % by.coefficient !== 0) return undefined;
  return { coefficient: term.coefficient / by.coefficient, factors };
}

/** Terms of most factors first, then by the powers of atoms in the order of their keys: an order that products keep. */
function inOrder(terms: readonly Term[]): Term[] {
  const keys = [...new Set(terms.flatMap(({ factors }) => factors))].sort();
  const power = ({ factors }: Term, key: string): number => factors.filter((factor) => factor === key).length;
  return [...terms].sort((a, b) => {
    const key = keys.find((each) => power(a, each) !== power(b, each));
    return b.factors.length - a.factors.length || (key === undefined ? 0 : power(b, key) - power(a, key));
  });
}

function combine(kind: "floordiv" | "mod" | "max" | "min", left: Dim, right: Dim): DimExpr {
  if (String(left).length + String(right).length > longestText) return unknownDim();
  const commutes = kind === "max" || kind === "min";
  const [a, b] = commutes && String(left) > String(right) ? [right, left] : [left, right];
  return fromAtom(`${kind}(${a}, ${b})`, { kind, left: a, right: b });
}

function fromAtom(key: string, atom: DimAtom): DimExpr {
  return orUnknown(new DimExpr([{ coefficient: 1, factors: [key] }], new Map([[key, atom]])));
}

function termsOf(dim: Dim): readonly Term[] {
  if (typeof dim !== "number") return dim.terms;
  return dim === 0 ? [] : [{ coefficient: dim, factors: [] }];
}

function mergeAtoms(left: Dim, right: Dim): Map<string, DimAtom> {
  return new Map([
    ...(typeof left === "number" ? [] : left.atoms),
    ...(typeof right === "number" ? [] : right.atoms),
  ]);
}

function fromTerms(terms: readonly Term[], atoms: ReadonlyMap<string, DimAtom>): Dim {
  const sums = new Map<string, Term>();
  for (const { coefficient, factors } of terms) {
    const key = factors.join("*");
    sums.set(key, { coefficient: (sums.get(key)?.coefficient ?? 0) + coefficient, factors });
  }
  const kept = [...sums.entries()]
    .filter(([, term]) => term.coefficient !== 0)
    .sort(([a], [b]) => (a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1))
    .map(([, term]) => term);
  const only = kept[0];
  if (only === undefined) return 0;
  if (kept.length === 1 && only.factors.length === 0) return only.coefficient;
  const length = kept.reduce(
    (sum, { factors }) => sum + factors.reduce((all, key) => all + key.length, 0),
    0,
  );
  if (kept.length > mostTerms || length > longestText) return unknownDim();
  const used = new Set(kept.flatMap(({ factors }) => factors));
  return orUnknown(new DimExpr(kept, new Map([...atoms].filter(([key]) => used.has(key)))));
}

/** Longest text of an expression. Padding that each layer computes from the size before doubles it, layer by layer. */
const longest = 600;

/** The expression, or a dimension of which nothing is known where it has grown beyond use. */
function orUnknown(dim: DimExpr): DimExpr {
  return dim.key.length > longest ? unknownDim() : dim;
}

function printTerms(terms: readonly Term[]): string {
  return terms
    .map(({ coefficient, factors }, index) => {
      const sign = coefficient < 0 ? (index === 0 ? "-" : " - ") : index === 0 ? "" : " + ";
      const size = Math.abs(coefficient);
      const parts = factors.length > 0 && size === 1 ? factors : [String(size), ...factors];
      return sign + parts.join("*");
    })
    .join("");
}
