/** Tables of what a pipeline did, for people. */
import type { PipelineReport } from "./manager.ts";

/** Times per pass and counters, as asked for; "" where nothing is. */
export function formatReport(
  report: PipelineReport,
  show: { readonly timing: boolean; readonly statistics: boolean },
): string {
  const lines: string[] = [];
  if (show.timing) {
    const total = report.steps.reduce((sum, { ms }) => sum + ms, 0);
    lines.push(...report.steps.map(({ pass, ms }) => `${ms.toFixed(1).padStart(10)} ms  ${pass}`));
    lines.push(`${total.toFixed(1).padStart(10)} ms  total`);
  }
  if (show.statistics) {
    for (const { pass, statistics, changed } of report.steps) {
      const counts = Object.entries(statistics).map(([name, count]) => `${name} ${count}`);
      lines.push(`${pass}: ${counts.length > 0 ? counts.join(", ") : changed ? "changed" : "nothing to do"}`);
    }
  }
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}
