/** Diagnostics of the data that training and evaluation read. */
import { defineDiagnostics } from "./define.ts";

/** How many names a message lists before it stops. */
const listLimit = 20;

function listed(names: readonly string[]): string {
  if (names.length === 0) return "none";
  const shown = names.slice(0, listLimit).map((name) => `"${name}"`);
  return names.length > listLimit
    ? `${shown.join(", ")} and ${names.length - listLimit} more`
    : shown.join(", ");
}

export const dataErrors = defineDiagnostics({
  E_TEXT_ENCODING: (file: string) => ({
    message: "the file is not text in UTF-8",
    place: file,
    expected: "UTF-8",
    got: "bytes that are not UTF-8",
    next: "convert it, for instance with iconv -f latin1 -t utf8",
  }),
  E_TOKENIZER: (file: string, reason: string) => ({
    message: "the tokenizer cannot be used",
    place: file,
    expected: "a tokenizer.json of the Hugging Face tokenizers library",
    got: reason,
    next: "save it again with tokenizer.save_pretrained(FOLDER) and give its tokenizer.json",
  }),
  E_MAX_LENGTH: (limit: number, special: number) => ({
    message: `no text fits into ${limit} tokens`,
    place: "--max-length",
    expected: `more than ${special}, the number of special tokens that the tokenizer adds`,
    got: String(limit),
    next: "raise --max-length",
  }),
  E_TABLE_FORMAT: (file: string, known: readonly string[]) => ({
    message: "the format of the data file does not follow from its name",
    place: file,
    expected: `a name that ends in ${known.join(", ")}`,
    got: file,
    next: "rename the file",
  }),
  E_TABLE_SYNTAX: (file: string, line: number, reason: string) => ({
    message: `line ${line} of the data file cannot be read`,
    place: `${file}:${line}`,
    expected: "one row a line (in csv, quotes around cells that hold commas, quotes or line breaks)",
    got: reason,
    next: "correct the line",
  }),
  E_TABLE_EMPTY: (file: string) => ({
    message: "the data file has no rows",
    place: file,
    expected: "at least one row",
    got: "none",
    next: "check the file; if its only line is a row and not the names of columns, give --no-header",
  }),
  E_COLUMN_MISSING: (file: string, column: string, columns: readonly string[], header: boolean) => ({
    message: `the data file has no column "${column}"`,
    place: file,
    expected: `one of the columns ${listed(columns)}`,
    got: `"${column}"`,
    next: header
      ? "name one of these, or give --no-header and count columns from 0 if the first line is a row"
      : "count columns from 0, or leave out --no-header if the first line holds their names",
  }),
  E_COLUMN_TWICE: (file: string, column: string) => ({
    message: `the data file has two columns "${column}"`,
    place: file,
    expected: "distinct names",
    got: `"${column}" twice`,
    next: "rename one of them in the first line",
  }),
  E_COLUMN_CHOICE: (file: string, what: string, option: string, columns: readonly string[]) => ({
    message: `no column is known to hold the ${what}`,
    place: file,
    expected: `${option} with one of ${listed(columns)}`,
    got: "no option and no column of a usual name",
    next: `add ${option} NAME`,
  }),
  E_CELL: (file: string, line: number, column: string, expected: string, got: string) => ({
    message: `line ${line} has no usable value in column "${column}"`,
    place: `${file}:${line}`,
    expected,
    got,
    next: "correct or remove the row",
  }),
  E_LABEL_UNKNOWN: (file: string, line: number, label: string, known: readonly string[]) => ({
    message: `line ${line} has a label that the training data did not have: "${label}"`,
    place: `${file}:${line}`,
    expected: `one of ${listed(known)}`,
    got: `"${label}"`,
    next: "correct or remove the row",
  }),
  E_LABEL_COUNT: (file: string, labels: readonly string[], room: number) => ({
    message: `the data has ${labels.length} different labels, the model only ${room}`,
    place: file,
    expected: `at most ${room} labels`,
    got: listed(labels),
    next: "check the label column, or take a model with as many outputs as labels",
  }),
  E_TAG_COUNT: (file: string, line: number, words: number, tags: number) => ({
    message: `line ${line} has ${words} words and ${tags} labels`,
    place: `${file}:${line}`,
    expected: "one label for each word",
    got: `${words} words, ${tags} labels`,
    next: "correct or remove the row",
  }),
  E_CORPUS_SHORT: (file: string, tokens: number, window: number) => ({
    message: `the text has ${tokens} tokens, less than one window of ${window}`,
    place: file,
    expected: `at least ${window} tokens`,
    got: `${tokens} tokens`,
    next: "give a longer text or a smaller --max-length",
  }),
  E_ARRAY_FORMAT: (file: string) => ({
    message: "arrays are not read from this kind of file",
    place: file,
    expected: "a .safetensors, .npz or .npy file",
    got: file,
    next: "save the arrays with numpy.savez(FILE, name=array, ...), named as the model's inputs",
  }),
  E_ARRAY_TWICE: (field: string, file: string, other: string) => ({
    message: `the array "${field}" is given twice`,
    place: file,
    expected: "every array once",
    got: `"${field}" also in ${other}`,
    next: "leave one of them out",
  }),
  E_ARRAY_ROWS: (field: string, rows: number | undefined, other: string, expected: number | undefined) => ({
    message: `the arrays do not have one row for each example: "${field}" differs`,
    place: field,
    expected:
      expected === undefined
        ? "an array with a first axis of examples"
        : `${expected} rows, as "${other}" has`,
    got: rows === undefined ? "a single number" : `${rows} rows`,
    next: "make the first axis of every array the examples, in the same order",
  }),
  E_FIELD_MISSING: (source: string, field: string, available: readonly string[]) => ({
    message: `the data does not give "${field}", which the model reads`,
    place: source,
    expected: `"${field}"`,
    got: listed(available),
    next: "give it as an array of this name in an .npz or .safetensors file, or choose another source of data",
  }),
  E_FIELD_DTYPE: (field: string, got: string, expected: string) => ({
    message: `"${field}" has values of type ${got}, which the model's type ${expected} cannot take`,
    place: field,
    expected,
    got,
    next: "convert the array before saving it",
  }),
  E_FIELD_RANGE: (field: string, value: string, dtype: string) => ({
    message: `"${field}" holds ${value}, which does not fit into ${dtype}`,
    place: field,
    expected: `values of ${dtype}`,
    got: value,
    next: "correct the data",
  }),
  E_BATCH_ROWS: (rows: number, batch: number) => ({
    message: `the data has ${rows} rows, too few for one whole batch of ${batch}`,
    place: "--batch",
    expected: `a batch of at most ${rows}`,
    got: String(batch),
    next: "give more data or a smaller --batch",
  }),
  E_DATA_POSITION: (what: string, expected: string, got: string) => ({
    message: `the saved place in the data does not fit this run: another ${what}`,
    place: "--resume",
    expected,
    got,
    next: "resume with the data, seed and order of the run that was saved",
  }),
});
