/** Labels of rows: names to ids, numbers to regress to, and several names at once. */
import { dataErrors } from "../diagnostics/data.ts";
import type { Field } from "./batch.ts";
import { type Column, listCell, numberCell, textCell } from "./columns.ts";
import type { TableRow } from "./table.ts";

/** The labels of a table, ready for batches. */
export interface RowLabels {
  /** Labels of the given rows; their first axis is the rows. */
  collate(rows: ArrayLike<number>): Field;
}

export interface LabelNameOptions {
  /** How many labels the model has room for. */
  readonly count?: number;
}

/**
 * Chooses the names of labels, whose place in the list is their id. Whole numbers are sorted; if all of them lie below
 * `count` they are ids already, and the list has every number below it. Other names come in the order in which they
 * first occur.
 *
 * @throws DiagnosticError `E_CELL`, or `E_LABEL_COUNT` when there are more names than `count`.
 */
export function labelNames(column: Column, { count }: LabelNameOptions = {}): string[] {
  return orderNames(
    column.table.rows.map((row) => labelText(column, row)),
    column.table.file,
    count,
  );
}

/** The same for cells that hold several names each. */
export function multiLabelNames(column: Column, { count }: LabelNameOptions = {}): string[] {
  return orderNames(
    column.table.rows.flatMap((row) => listCell(column, row, listSeparator)),
    column.table.file,
    count,
  );
}

/** Between the names of one cell in csv and tsv; JSON lines have lists. */
const listSeparator = "|";

function orderNames(labels: readonly string[], file: string, count: number | undefined): string[] {
  const names = [...new Set(labels)];
  if (names.every((name) => /^-?\d+$/.test(name))) {
    const ids = names.map(Number);
    if (count !== undefined && ids.every((id) => id >= 0 && id < count)) {
      return Array.from({ length: count }, (_, id) => String(id));
    }
    names.sort((a, b) => Number(a) - Number(b));
  }
  if (count !== undefined && names.length > count) throw dataErrors.E_LABEL_COUNT(file, names, count);
  return names;
}

/** One id a row: int32 [rows]. @throws DiagnosticError `E_CELL` or `E_LABEL_UNKNOWN`. */
export function classLabels(column: Column, names: readonly string[]): RowLabels {
  const idOf = idLookup(names);
  const ids = Int32Array.from(column.table.rows, (row) => idOf(column, row, labelText(column, row)));
  return {
    collate: (rows) => ({
      dtype: "int32",
      shape: [rows.length],
      data: Int32Array.from(rows, (row) => ids[row] ?? 0),
    }),
  };
}

/** One number a row: float32 [rows]. @throws DiagnosticError `E_CELL`. */
export function numberLabels(column: Column): RowLabels {
  const numbers = column.table.rows.map((row) => numberCell(column, row));
  return {
    collate: (rows) => ({
      dtype: "float32",
      shape: [rows.length],
      data: Float32Array.from(rows, (row) => numbers[row] ?? 0),
    }),
  };
}

/** Ones at the ids of a row's names, else zeros: float32 [rows, names]. @throws DiagnosticError `E_LABEL_UNKNOWN`. */
export function multiLabels(column: Column, names: readonly string[]): RowLabels {
  const idOf = idLookup(names);
  const ids = column.table.rows.map((row) =>
    listCell(column, row, listSeparator).map((name) => idOf(column, row, name)),
  );
  return {
    collate: (rows) => {
      const data = new Float32Array(rows.length * names.length);
      for (let i = 0; i < rows.length; i++) {
        for (const id of ids[rows[i] ?? 0] ?? []) data[i * names.length + id] = 1;
      }
      return { dtype: "float32", shape: [rows.length, names.length], data };
    },
  };
}

type IdLookup = (column: Column, row: TableRow, label: string) => number;

/** Finds the id of a name. The lookup throws DiagnosticError `E_LABEL_UNKNOWN`. */
export function idLookup(names: readonly string[]): IdLookup {
  const ids = new Map(names.map((name, id) => [name, id]));
  return ({ table }, { line }, label) => {
    const id = ids.get(label);
    if (id === undefined) throw dataErrors.E_LABEL_UNKNOWN(table.file, line, label, names);
    return id;
  };
}

function labelText(column: Column, row: TableRow): string {
  const text = textCell(column, row).trim();
  if (text === "")
    throw dataErrors.E_CELL(column.table.file, row.line, column.name, "a label", "an empty cell");
  return text;
}
