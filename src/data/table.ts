/** Tables of examples: csv, tsv, JSON lines, and lines that begin with their label. */
import { CsvError, type Options, parse } from "csv-parse/sync";
import { dataErrors } from "../diagnostics/data.ts";
import { readText } from "./read-text.ts";

export interface TableRow {
  /** Line of the file on which the row ends, counted from 1. */
  readonly line: number;
  /** In the order of the table's columns: strings, in JSON lines any value; absent where the row is too short. */
  readonly cells: readonly unknown[];
}

export interface Table {
  readonly file: string;
  readonly format: TableFormat;
  /** Names; without a header, the numbers from 0 on. */
  readonly columns: readonly string[];
  readonly header: boolean;
  readonly rows: readonly TableRow[];
}

/** `label-text`: a label, a space, and the text up to the end of the line, as TREC and fastText have it. */
type TableFormat = "csv" | "tsv" | "jsonl" | "label-text";

const extensions: Readonly<Record<string, TableFormat>> = {
  ".csv": "csv",
  ".tsv": "tsv",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".txt": "label-text",
};

export interface TableOptions {
  /** Whether the first line names the columns; of no effect on JSON lines, which name them on every line. */
  readonly header?: boolean;
}

/**
 * Reads a table. The format follows from the name of the file, but a .csv or .txt file whose first line holds a tab
 * is read as tsv, and a .txt file otherwise as label and text, without header.
 *
 * @throws DiagnosticError `E_FILE_READ`, `E_TEXT_ENCODING`, `E_TABLE_FORMAT`, `E_TABLE_SYNTAX` or `E_TABLE_EMPTY`.
 */
export function readTable(file: string, options: TableOptions = {}): Table {
  const text = readText(file);
  const format = formatOf(file, text);
  const table = parsers[format](file, text, options.header ?? true);
  if (table.rows.length === 0) throw dataErrors.E_TABLE_EMPTY(file);
  return { file, format, ...table };
}

function formatOf(file: string, text: string): TableFormat {
  const known = Object.keys(extensions);
  const extension = known.find((candidate) => file.toLowerCase().endsWith(candidate));
  const format = extensions[extension ?? ""];
  if (format === undefined) throw dataErrors.E_TABLE_FORMAT(file, known);
  const [firstLine = ""] = text.split("\n", 1);
  return format !== "jsonl" && firstLine.includes("\t") ? "tsv" : format;
}

type ParsedTable = Pick<Table, "columns" | "header" | "rows">;

const parsers: Readonly<Record<TableFormat, (file: string, text: string, header: boolean) => ParsedTable>> = {
  csv: (file, text, header) => parseDelimited(file, text, header, { delimiter: "," }),
  // Quotes are characters like others there: texts of GLUE hold single ones.
  tsv: (file, text, header) =>
    parseDelimited(file, text, header, { delimiter: "\t", quote: false, escape: null }),
  jsonl: parseJsonLines,
  "label-text": (_, text) => ({ columns: ["label", "text"], header: true, rows: parseLabelText(text) }),
};

function parseDelimited(file: string, text: string, header: boolean, options: Options): ParsedTable {
  const rows: TableRow[] = [];
  try {
    parse(text, {
      ...options,
      record_delimiter: ["\r\n", "\n"],
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: (cells: string[], { lines }) => {
        rows.push({ line: lines, cells });
        return null;
      },
    });
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw dataErrors.E_TABLE_SYNTAX(file, Number(error.lines ?? 0), error.message);
  }
  const first = header ? (rows.shift()?.cells ?? []) : [];
  const width = Math.max(0, ...rows.map(({ cells }) => cells.length));
  const columns = header ? first.map(String) : Array.from({ length: width }, (_, column) => String(column));
  return { columns, header, rows };
}

function parseJsonLines(file: string, text: string): ParsedTable {
  const objects = text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    return [{ line: index + 1, object: parseObject(file, index + 1, line) }];
  });
  const columns = [...new Set(objects.flatMap(({ object }) => [...object.keys()]))];
  const rows = objects.map(({ line, object }) => ({
    line,
    cells: columns.map((column) => object.get(column)),
  }));
  return { columns, header: true, rows };
}

function parseObject(file: string, line: number, text: string): ReadonlyMap<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw dataErrors.E_TABLE_SYNTAX(file, line, error instanceof Error ? error.message : String(error));
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw dataErrors.E_TABLE_SYNTAX(file, line, "a value that is not an object");
  }
  return new Map(Object.entries(value));
}

function parseLabelText(text: string): TableRow[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === "") return [];
    const [, label, rest = ""] = /^(\S+)\s*(.*)$/.exec(line.trimStart()) ?? [];
    return [{ line: index + 1, cells: [label, rest] }];
  });
}
