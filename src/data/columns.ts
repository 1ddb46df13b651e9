/** Columns of a table: found by name or number, and read as text, numbers or lists. */
import { dataErrors } from "../diagnostics/data.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Table, TableRow } from "./table.ts";

/** A column of a table. */
export interface Column {
  readonly table: Table;
  readonly index: number;
  readonly name: string;
}

/**
 * Finds a column by its name, or by its number from 0 in a table without header.
 *
 * @throws DiagnosticError `E_COLUMN_MISSING` or `E_COLUMN_TWICE`.
 */
export function findColumn(table: Table, name: string): Column {
  const index = table.columns.indexOf(name);
  if (index < 0) throw dataErrors.E_COLUMN_MISSING(table.file, name, table.columns, table.header);
  if (table.columns.includes(name, index + 1)) throw dataErrors.E_COLUMN_TWICE(table.file, name);
  return { table, index, name };
}

/** Usual names, taken where the user names no column, the first that the table has. */
const usualNames = {
  text: ["text", "sentence", "sentence1"],
  label: ["label", "labels", "score"],
} as const;

/** Columns of text as the user names them; a first one left out is looked for among the usual ones. */
export interface TextColumnNames {
  readonly text?: string;
  /** Second text of a pair; `sentence2` where `sentence1` was found for the first. */
  readonly pair?: string;
}

export interface TextColumns {
  readonly text: Column;
  readonly pair?: Column;
}

/** @throws DiagnosticError `E_COLUMN_MISSING`, `E_COLUMN_TWICE` or `E_COLUMN_CHOICE`. */
export function chooseTextColumns(table: Table, names: TextColumnNames = {}): TextColumns {
  const text = choose(table, names.text, "text");
  const follows =
    names.text === undefined && text.name === "sentence1" && table.columns.includes("sentence2");
  const pair = names.pair ?? (follows ? "sentence2" : undefined);
  return { text, ...(pair === undefined ? {} : { pair: findColumn(table, pair) }) };
}

/** @throws DiagnosticError `E_COLUMN_MISSING`, `E_COLUMN_TWICE` or `E_COLUMN_CHOICE`. */
export function chooseLabelColumn(table: Table, name?: string): Column {
  return choose(table, name, "label");
}

function choose(table: Table, name: string | undefined, what: keyof typeof usualNames): Column {
  const chosen = name ?? usualNames[what].find((usual) => table.columns.includes(usual));
  if (chosen !== undefined) return findColumn(table, chosen);
  throw dataErrors.E_COLUMN_CHOICE(table.file, what, `--${what}-column`, table.columns);
}

/** The row of a column's table with the given number from 0. */
export function rowAt({ table }: Column, index: number): TableRow {
  const row = table.rows[index];
  if (row === undefined) throw new InternalError(`row ${index} of ${table.rows.length} of ${table.file}`);
  return row;
}

/** A cell as text; numbers and truth values of JSON lines are written out. @throws DiagnosticError `E_CELL`. */
export function textCell(column: Column, row: TableRow): string {
  const cell = row.cells[column.index];
  if (typeof cell === "string") return cell;
  if (typeof cell === "number" || typeof cell === "boolean") return String(cell);
  throw badCell(column, row, "text");
}

/** A cell as a finite number. @throws DiagnosticError `E_CELL`. */
export function numberCell(column: Column, row: TableRow): number {
  const text = textCell(column, row).trim();
  const number = text === "" ? Number.NaN : Number(text);
  if (!Number.isFinite(number)) throw badCell(column, row, "a number");
  return number;
}

/** A cell as a list of texts: a list in JSON lines, else parts of a text between `separator`s, none of an empty one. */
export function listCell(column: Column, row: TableRow, separator: string | RegExp): string[] {
  const cell = row.cells[column.index];
  if (Array.isArray(cell)) {
    return cell.map((element: unknown) => {
      if (typeof element === "string" || typeof element === "number") return String(element);
      throw badCell(column, row, "a list of texts");
    });
  }
  return textCell(column, row)
    .split(separator)
    .filter((part) => part !== "");
}

function badCell({ table, index, name }: Column, { line, cells }: TableRow, expected: string): Error {
  const cell = cells[index];
  const got = cell === undefined ? `a row of ${cells.length} cells` : JSON.stringify(cell);
  return dataErrors.E_CELL(table.file, line, name, expected, got);
}
