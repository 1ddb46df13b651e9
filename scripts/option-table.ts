/** Tables of options, and text in cells and sentences, as generated pages have them. */
import type { z } from "zod";
import { defaultText, describeOptions, type OptionDescription } from "../src/pass/describe-options.ts";

export function optionTable(schema: z.ZodObject): string {
  const options = describeOptions(schema);
  if (options.length === 0) return "It has no options.\n";
  return [
    "| option | value | default | meaning |",
    "| --- | --- | --- | --- |",
    ...options.map((option) => `| \`${option.name}\` | ${optionCells(option)} |`),
    "",
  ].join("\n");
}

function optionCells(option: OptionDescription): string {
  const value = defaultText(option);
  return [option.type, value === undefined ? "" : `\`${value}\``, option.description].map(cell).join(" | ");
}

export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

export function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}
