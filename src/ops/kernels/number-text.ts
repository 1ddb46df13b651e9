/** Numbers as text and back, as the runtime's Cast reads and prints them. */
import { InternalError } from "../../diagnostics/define.ts";
import type { NDArray } from "../ndarray.ts";

/** A float at the start of a text, by the rules of C's `strtod`: spaces before it are skipped, what follows it is not read. */
const float = /^\s*([+-]?)(?:(inf(?:inity)?)|(nan)|((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?))/i;

/**
 * @throws InternalError for text that starts with no decimal number, or one that a double does not hold: the runtime fails
 *   there, too.
 */
export function parseFloat64(text: string): number {
  const [, sign, infinite, nan, digits = ""] = float.exec(text) ?? [];
  if (nan !== undefined) return Number.NaN;
  const size = infinite === undefined ? Number(digits) : Number.POSITIVE_INFINITY;
  const isLost =
    infinite === undefined &&
    (size === Number.POSITIVE_INFINITY || (size === 0 && /[1-9]/.test(digits.split(/e/i)[0] ?? "")));
  if ((infinite === undefined && digits === "") || /^\s*[+-]?0x/i.test(text) || isLost)
    throw new InternalError(`${JSON.stringify(text)} is no number`);
  return sign === "-" ? -size : size;
}

/** The whole number at the start of a text. @throws InternalError where there is none. */
export function parseInteger(text: string): bigint {
  const [, sign, digits] = /^\s*([+-]?)(\d+)/.exec(text) ?? [];
  if (digits === undefined) throw new InternalError(`${JSON.stringify(text)} is no whole number`);
  return sign === "-" ? -BigInt(digits) : BigInt(digits);
}

/** Elements as text: floats as C prints them with `%.8g`, truth values as 1 and 0. */
export function printElements({ dtype, data }: NDArray): string[] {
  return Array.from<number | bigint | string, string>(data, (element) =>
    typeof element === "number" && dtype !== "bool" ? printNumber(element) : String(element),
  );
}

function printNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "INF" : "-INF";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [digits = "", power = ""] = value.toExponential(7).split("e");
  const exponent = Number(power);
  if (exponent >= -4 && exponent < 8) return trimZeros(value.toFixed(7 - exponent));
  const size = String(Math.abs(exponent)).padStart(2, "0");
  return `${trimZeros(digits)}e${exponent < 0 ? "-" : "+"}${size}`;
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
