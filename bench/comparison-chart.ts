/** The chart that compares methods, as SVG: held-out loss against the number of trained parameters. */
import type { Row } from "./comparison-page.ts";

const [width, height] = [900, 560];
const frame = { left: 60, right: 20, top: 20, bottom: 50 };

/** A point for each method with its name; trained parameters on a logarithmic axis. */
export function comparisonChart(rows: readonly Row[]): string {
  const decades = rows.map(({ trained }) => Math.log10(Math.max(1, trained)));
  const [first, last] = [Math.floor(Math.min(...decades)), Math.ceil(Math.max(...decades))];
  const losses = rows.map(({ after }) => after);
  const [low, high] = [Math.floor(Math.min(...losses) * 5) / 5, Math.ceil(Math.max(...losses) * 5) / 5];
  const x = (trained: number): number =>
    frame.left +
    ((Math.log10(Math.max(1, trained)) - first) / Math.max(1, last - first)) *
      (width - frame.left - frame.right);
  const y = (loss: number): number =>
    height - frame.bottom - ((loss - low) / Math.max(0.2, high - low)) * (height - frame.top - frame.bottom);
  const steps = Math.round((high - low) / 0.2);
  const columns = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  const lines = Array.from({ length: steps + 1 }, (_, i) => low + i * 0.2);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    "<title>Held-out loss against trainable parameters, by method</title>",
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...columns.map((count) => line(x(count), frame.top, x(count), height - frame.bottom)),
    ...columns.map((count) =>
      text(x(count), height - frame.bottom + 18, count.toLocaleString("en"), "middle"),
    ),
    ...lines.map((loss) => line(frame.left, y(loss), width - frame.right, y(loss))),
    ...lines.map((loss) => text(frame.left - 8, y(loss) + 4, loss.toFixed(1), "end")),
    text((width + frame.left) / 2, height - 10, "trained parameters", "middle"),
    `<text transform="translate(16 ${height / 2}) rotate(-90)" text-anchor="middle">held-out loss, nats per token</text>`,
    ...placed(rows.map(({ method, trained, after }) => ({ name: method, x: x(trained), y: y(after) }))),
    "</svg>",
    "",
  ].join("\n");
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${n(x1)}" y1="${n(y1)}" x2="${n(x2)}" y2="${n(y2)}" stroke="#ddd"/>`;
}

function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end"): string {
  return `<text x="${n(x)}" y="${n(y)}" text-anchor="${anchor}">${content}</text>`;
}

interface Point {
  readonly name: string;
  readonly x: number;
  readonly y: number;
}

/** Points, and names that move down until they stand on no other. */
function placed(points: readonly Point[]): string[] {
  const taken: { x: number; y: number; end: number }[] = [];
  return [...points]
    .sort((a, b) => a.y - b.y)
    .flatMap(({ name, x, y }) => {
      const length = 6 * name.length;
      const start = x + 7 + length > width ? x - 7 - length : x + 7;
      let at = y + 4;
      while (
        taken.some((other) => Math.abs(other.y - at) < 11 && start < other.end && other.x < start + length)
      )
        at += 3;
      taken.push({ x: start, y: at, end: start + length });
      return [`<circle cx="${n(x)}" cy="${n(y)}" r="3" fill="#1f6feb"/>`, text(start, at, name, "start")];
    });
}

function n(value: number): string {
  return value.toFixed(1);
}
