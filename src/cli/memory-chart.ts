/** The memory of a training step over its nodes as an SVG picture, each phase in a colour of its own. */
import type { Footprint } from "../analysis/footprint.ts";
import type { Phase } from "../ir/phase.ts";
import { bytes } from "./numbers.ts";

const [width, height] = [960, 320];
const margin = { left: 72, right: 16, top: 40, bottom: 32 };
const colours: Readonly<Record<Phase, string>> = {
  forward: "#4878a8",
  backward: "#c8743c",
  update: "#5c9a5c",
};

/** @param title text of one line. */
export function memoryChart({ use, phaseAt }: Footprint, title: string): string {
  const moments = use.moments;
  const top = Math.max(1, use.peak);
  const x = (index: number): number =>
    margin.left + (index / Math.max(1, moments.length)) * (width - margin.left - margin.right);
  const y = (live: number): number =>
    height - margin.bottom - (live / top) * (height - margin.top - margin.bottom);
  const runs: { phase: Phase; from: number; to: number }[] = [];
  phaseAt.forEach((phase, index) => {
    const last = runs.at(-1);
    if (last?.phase === phase) last.to = index + 1;
    else runs.push({ phase, from: index, to: index + 1 });
  });
  const areas = runs.map(({ phase, from, to }) => {
    const points = moments
      .slice(from, to)
      .map(({ live }, i) => `H${x(from + i).toFixed(1)}V${y(live).toFixed(1)}`)
      .join("");
    return `<path fill="${colours[phase]}" d="M${x(from).toFixed(1)} ${y(0)}${points}H${x(to).toFixed(1)}V${y(0)}Z"/>`;
  });
  const lines = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = y(share * top).toFixed(1);
    return (
      `<path stroke="#ccc" d="M${margin.left} ${at}H${width - margin.right}"/>` +
      `<text x="${margin.left - 6}" y="${at}" dy="4" text-anchor="end">${bytes(Math.round(share * top))}</text>`
    );
  });
  const keys = Object.entries(colours).map(
    ([phase, colour], i) =>
      `<rect x="${margin.left + i * 100}" y="${height - 18}" width="10" height="10" fill="${colour}"/>` +
      `<text x="${margin.left + i * 100 + 15}" y="${height - 9}">${phase}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    "<title>Memory of a training step, node by node</title>",
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="${margin.left}" y="22" font-size="14">${asXml(title)}</text>`,
    ...lines,
    ...areas,
    ...keys,
    "</svg>",
    "",
  ].join("\n");
}

function asXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
