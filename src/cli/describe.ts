/** Tables of options and of records, as `passes`, `methods` and `ops` print them. */
import { defaultText, type OptionDescription } from "../pass/describe-options.ts";
import type { Terminal } from "./terminal.ts";
import { formatTable, hanging, wrapLines } from "./wrap.ts";

/** Name and summary of a record, as the first line of what is said of it. */
export function headline(terminal: Terminal, name: string, summary: string): string {
  return hanging(`${terminal.style.title(name)}  `, summary, terminal.width());
}

/** A paragraph under a title. */
export function section(terminal: Terminal, title: string, body: string): string {
  return `${terminal.style.title(title)}\n${body}`;
}

/** A paragraph of plain text, indented by two. */
export function paragraph(terminal: Terminal, text: string): string {
  return wrapLines(text, terminal.width() - 2)
    .map((line) => `  ${line}`)
    .join("\n");
}

/** Options with their types and defaults; the description stands on lines of its own where there is no room beside. */
export function optionTable(terminal: Terminal, options: readonly OptionDescription[]): string {
  if (options.length === 0) return "  none";
  const { style } = terminal;
  const blocks = options.map((option) => {
    const { name, type, description } = option;
    const fallback = defaultText(option);
    const given = fallback === undefined ? "" : `, default ${fallback}`;
    const head = hanging(`  ${style.name(name)}  `, style.faint(`${type}${given}`), terminal.width());
    const text = wrapLines(description, terminal.width() - 6).map((line) => `      ${line}`);
    return description === "" ? head : [head, ...text].join("\n");
  });
  return blocks.join("\n");
}

/** Names with one line each. */
export function summaryTable(
  terminal: Terminal,
  title: string,
  records: readonly { readonly name: string; readonly summary: string }[],
): string {
  const rows = records.map(({ name, summary }) => [`  ${terminal.style.name(name)}`, summary]);
  return formatTable([{ title: `  ${title}` }, { title: "" }], rows, {
    width: terminal.width(),
    title: terminal.style.title,
  });
}
