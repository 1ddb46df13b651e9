/** Text laid out for a terminal: wrapped lines and tables. */

/** Columns that a text takes; escape sequences for colours take none. */
function visibleWidth(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character.
  return text.replace(/\u001b\[[0-9;]*m/g, "").length;
}

/** Breaks a text at spaces into lines of at most `width` columns; a longer word stays whole. */
export function wrapLines(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && visibleWidth(line) + 1 + visibleWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

/** A label and a text beside it, whose further lines stand under its first. */
export function hanging(label: string, text: string, width: number): string {
  const indent = visibleWidth(label);
  const lines = wrapLines(text, Math.max(width - indent, 24));
  return lines.map((line, i) => `${i === 0 ? label : " ".repeat(indent)}${line}`).join("\n");
}

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** A table with a line of titles. The last column is wrapped to `width`; the others are as wide as they must be. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  options: { readonly width: number; readonly title?: (text: string) => string },
): string {
  const last = columns.length - 1;
  const paint = options.title ?? ((text: string) => text);
  const all = [columns.map(({ title }) => paint(title)), ...rows];
  const widths = columns.map((_, i) => Math.max(...all.map((row) => visibleWidth(row[i] ?? ""))));
  const before = widths.slice(0, last).reduce((sum, each) => sum + each + 2, 0);
  const lines = all.map((row) => {
    const cells = row.slice(0, last).map((cell, i) => pad(cell, widths[i] ?? 0, columns[i]?.align));
    const label = cells.map((cell) => `${cell}  `).join("");
    const end = row[last] ?? "";
    if (columns[last]?.align === "right") return `${label}${pad(end, widths[last] ?? 0, "right")}`;
    return hanging(label, end, Math.max(options.width, before + 24));
  });
  return lines.map((line) => line.replace(/ +$/gm, "")).join("\n");
}

function pad(text: string, width: number, align: Column["align"]): string {
  const space = " ".repeat(Math.max(0, width - visibleWidth(text)));
  return align === "right" ? `${space}${text}` : `${text}${space}`;
}

/** Pairs as lines `  key  text`, texts in one column and wrapped. */
export function formatPairs(
  pairs: readonly (readonly [string, string])[],
  options: { readonly width: number; readonly paint?: (text: string) => string; readonly indent?: number },
): string {
  const { width, paint = (text: string) => text, indent = 2 } = options;
  const widest = Math.max(0, ...pairs.map(([key]) => key.length));
  return pairs
    .map(([key, text]) => {
      const label = `${" ".repeat(indent)}${paint(key)}${" ".repeat(widest - key.length + 2)}`;
      return text
        .split("\n")
        .map((part, i) => hanging(i === 0 ? label : " ".repeat(visibleWidth(label)), part, width))
        .join("\n");
    })
    .join("\n");
}
