/** Dimensions as text: numbers, axis names, expressions over them, and `?` for those not known. */
import {
  addDims,
  type Dim,
  DimExpr,
  floorDivDims,
  isUnknown,
  maxDims,
  minDims,
  modDims,
  mulDims,
  symbol,
  symbolsOf,
  unknownDim,
} from "../ir/dim.ts";
import { isExpressible, isIdentifier, quote } from "./grammar.ts";

/**
 * Text of a dimension. In code, expressions are quoted, since the grammar knows only names; in comments they stand as they
 * are. A dimension that depends on an unknown one prints as `?`, so which unknown sizes are equal is not kept.
 */
export function printDim(dim: Dim, place: "code" | "comment"): string {
  if (typeof dim === "number") return String(dim);
  if (!isExpressible(dim.key) || [...symbolsOf(dim)].some((name) => isUnknown(symbol(name)))) return "?";
  if (isIdentifier(dim.key)) return dim.key;
  if (place === "code") return quote(dim.key);
  if (/[\r\n]/.test(dim.key)) return "?";
  return isExpression(dim.key) ? dim.key : quote(dim.key);
}

/** The dimension that a quoted string names: an expression where the text is one in canonical form, else an axis. */
export function readDim(text: string): Dim {
  if (isUnknown(symbol(text))) return unknownDim();
  return (isExpression(text) ? readExpression(text) : undefined) ?? symbol(text);
}

function isExpression(text: string): boolean {
  const dim = readExpression(text);
  return dim instanceof DimExpr && dim.key === text;
}

/** Bounds on what is taken for an expression, so that no text makes a polynomial of a million terms. */
const longestExpression = 512;
const mostTerms = 256;

const operations = { floordiv: floorDivDims, mod: modDims, max: maxDims, min: minDims };

/** A sum of products of axis names, whole numbers and `floordiv`, `mod`, `max`, `min`; undefined for anything else. */
export function readExpression(text: string): Dim | undefined {
  if (text.length > longestExpression) return undefined;
  const tokens = text.match(/[A-Za-z_][A-Za-z0-9_]*|\d+|\S/g) ?? [];
  let at = 0;
  const take = (token: string): boolean => {
    if (tokens[at] !== token) return false;
    at += 1;
    return true;
  };

  const sum = (): Dim | undefined => {
    let total: Dim = 0;
    for (let sign = take("-") ? -1 : 1; ; ) {
      const term = product();
      if (term === undefined) return undefined;
      total = addDims(total, mulDims(sign, term));
      if (take("+")) sign = 1;
      else if (take("-")) sign = -1;
      else return total;
    }
  };

  const product = (): Dim | undefined => {
    let result: Dim = 1;
    do {
      const next = factor();
      if (next === undefined || termCount(result) * termCount(next) > mostTerms) return undefined;
      result = mulDims(result, next);
    } while (take("*"));
    return typeof result !== "number" || Number.isSafeInteger(result) ? result : undefined;
  };

  const factor = (): Dim | undefined => {
    const token = tokens[at];
    if (token === undefined || !/^[A-Za-z_0-9]/.test(token)) return undefined;
    at += 1;
    if (/^\d/.test(token)) return Number(token);
    const operation = Object.entries(operations).find(([name]) => name === token)?.[1];
    if (operation === undefined || !take("(")) return symbol(token);
    const left = sum();
    if (left === undefined || !take(",")) return undefined;
    const right = sum();
    return right === undefined || !take(")") ? undefined : operation(left, right);
  };

  const result = sum();
  return at === tokens.length ? result : undefined;
}

function termCount(dim: Dim): number {
  return typeof dim === "number" ? 1 : dim.terms.length;
}
