/** Tables and their labels: the quirks of the usual benchmark files, on rows of our own, and messages for bad ones. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  chooseLabelColumn,
  chooseTextColumns,
  findColumn,
  listCell,
  textCell,
} from "../../src/data/columns.ts";
import {
  classLabels,
  labelNames,
  multiLabelNames,
  multiLabels,
  numberLabels,
} from "../../src/data/labels.ts";
import { readTable, type Table, type TableOptions } from "../../src/data/table.ts";

const folder = mkdtempSync(join(tmpdir(), "table-"));

function tableOf(name: string, content: string | Uint8Array, options?: TableOptions): Table {
  const path = join(folder, name);
  writeFileSync(path, content);
  return readTable(path, options);
}

const cells = (table: Table): unknown[][] => table.rows.map((row) => [...row.cells]);

describe("tsv", () => {
  it("takes quotes as they are, wherever they stand", () => {
    const table = tableOf(
      "quotes.tsv",
      'sentence\tlabel\n"so it begins\t1\nthe "end" is near "\t0\n""\t1\n"a", "b"\t0\nit \\"is\\" so\t1\n',
    );
    expect(table.columns).toEqual(["sentence", "label"]);
    expect(cells(table)).toEqual([
      ['"so it begins', "1"],
      ['the "end" is near "', "0"],
      ['""', "1"],
      ['"a", "b"', "0"],
      ['it \\"is\\" so', "1"],
    ]);
  });

  it("keeps spaces and empty cells, and numbers columns from 0 without a header", () => {
    const table = tableOf("cola.tsv", "aa01\t0\t*\tthe dog it bark \r\nbb02\t1\t\tthe dog barks", {
      header: false,
    });
    expect(table.columns).toEqual(["0", "1", "2", "3"]);
    expect(cells(table)).toEqual([
      ["aa01", "0", "*", "the dog it bark "],
      ["bb02", "1", "", "the dog barks"],
    ]);
    expect(table.rows.map(({ line }) => line)).toEqual([1, 2]);
  });

  it("is chosen for a .csv or .txt file with tabs, rows of different lengths included", () => {
    const text = 'news\t2.5\tone "half\tother, half\nnews\t5.0\ta\tb\textra\tsource\n';
    const table = tableOf("sts.csv", text, { header: false });
    expect(table.format).toBe("tsv");
    expect(table.columns).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(cells(table)).toEqual([
      ["news", "2.5", 'one "half', "other, half"],
      ["news", "5.0", "a", "b", "extra", "source"],
    ]);
    expect(tableOf("rows.txt", "text\tlabel\na\t1\n").format).toBe("tsv");
  });

  it("drops a byte order mark and skips empty lines", () => {
    const table = tableOf("bom.tsv", "\ufefftext\tlabel\n\na\t1\n\n\nb\t0\n");
    expect(table.columns).toEqual(["text", "label"]);
    expect(table.rows.map(({ line }) => line)).toEqual([3, 6]);
  });
});

describe("csv", () => {
  it("reads quoted cells with commas, quotes and line breaks", () => {
    const table = tableOf("a.csv", 'text,label\n"one, two",1\n"she said ""no""\nand left",0\nplain,1\n');
    expect(cells(table)).toEqual([
      ["one, two", "1"],
      ['she said "no"\nand left', "0"],
      ["plain", "1"],
    ]);
    expect(table.rows.map(({ line }) => line)).toEqual([2, 4, 5]);
  });

  it("names the line of a quote that is wrong", () => {
    expect(() => tableOf("b.csv", 'text,label\nfine,1\n"open" end,0\n')).toThrow(
      /E_TABLE_SYNTAX[\s\S]*b\.csv:3/,
    );
    expect(() => tableOf("c.csv", 'text,label\n"never closed,1\n')).toThrow(/E_TABLE_SYNTAX/);
  });
});

describe("JSON lines", () => {
  it("reads cells of any type and columns from every line", () => {
    const table = tableOf(
      "a.jsonl",
      '{"text":"a","label":3}\n\n{"label":true,"tags":["x","y"],"text":"b"}\n',
    );
    expect(table.columns).toEqual(["text", "label", "tags"]);
    expect(cells(table)).toEqual([
      ["a", 3, undefined],
      ["b", true, ["x", "y"]],
    ]);
    expect(table.rows.map(({ line }) => line)).toEqual([1, 3]);
  });

  it("names the line that is not an object", () => {
    expect(() => tableOf("b.jsonl", '{"a":1}\n{"a":\n')).toThrow(/E_TABLE_SYNTAX[\s\S]*b\.jsonl:2/);
    expect(() => tableOf("c.jsonl", "[1]\n")).toThrow(/not an object/);
  });
});

describe("lines that begin with their label", () => {
  it("splits at the first space", () => {
    const table = tableOf("questions.txt", "NUM:dist How far is it ?\nLOC:city Which town ?");
    expect(table.columns).toEqual(["label", "text"]);
    expect(cells(table)).toEqual([
      ["NUM:dist", "How far is it ?"],
      ["LOC:city", "Which town ?"],
    ]);
  });
});

describe("files that are no tables", () => {
  it("refuses unknown names, other encodings, and files without rows", () => {
    expect(() => tableOf("a.parquet", "x")).toThrow(/E_TABLE_FORMAT[\s\S]*\.jsonl/);
    expect(() => tableOf("latin1.tsv", Uint8Array.of(0x61, 0xe9, 0x0a))).toThrow(/E_TEXT_ENCODING/);
    expect(() => tableOf("empty.csv", "")).toThrow(/E_TABLE_EMPTY/);
    expect(() => tableOf("header.csv", "text,label\n")).toThrow(/E_TABLE_EMPTY[\s\S]*--no-header/);
    expect(() => readTable(join(folder, "none.csv"))).toThrow(/E_FILE_READ/);
  });
});

describe("columns", () => {
  const table = tableOf("glue.tsv", "sentence1\tsentence2\tscore\nx\ty\t1.5\n");

  it("lists the columns there are when one is missing", () => {
    expect(() => findColumn(table, "text")).toThrow(
      /E_COLUMN_MISSING[\s\S]*"sentence1", "sentence2", "score"[\s\S]*--no-header/,
    );
    const bare = tableOf("bare.tsv", "x\t1\n", { header: false });
    expect(findColumn(bare, "1").index).toBe(1);
    expect(() => findColumn(bare, "2")).toThrow(/E_COLUMN_MISSING[\s\S]*"0", "1"[\s\S]*from 0/);
  });

  it("refuses a name that two columns have", () => {
    const twice = tableOf("twice.tsv", "a\ta\tb\n1\t2\t3\n");
    expect(findColumn(twice, "b").index).toBe(2);
    expect(() => findColumn(twice, "a")).toThrow(/E_COLUMN_TWICE/);
  });

  it("takes usual names where none is given, the second sentence with the first", () => {
    expect(chooseTextColumns(table)).toMatchObject({
      text: { name: "sentence1" },
      pair: { name: "sentence2" },
    });
    expect(chooseTextColumns(table, { text: "sentence1" }).pair).toBeUndefined();
    expect(chooseTextColumns(table, { text: "sentence2", pair: "sentence1" }).pair?.index).toBe(0);
    expect(chooseLabelColumn(table).name).toBe("score");
    const other = tableOf("other.tsv", "question\tanswer\nx\ty\n");
    expect(() => chooseTextColumns(other)).toThrow(
      /E_COLUMN_CHOICE[\s\S]*--text-column[\s\S]*"question", "answer"/,
    );
    expect(() => chooseLabelColumn(other)).toThrow(/--label-column/);
  });

  it("names the line of a cell that is missing or of another kind", () => {
    const rows = tableOf("rows.jsonl", '{"text":"a","n":[1]}\n{"n":[{}]}\n');
    const text = findColumn(rows, "text");
    const n = findColumn(rows, "n");
    const [first, second] = rows.rows;
    if (first === undefined || second === undefined) throw new Error("the table has two rows");
    expect(textCell(text, first)).toBe("a");
    expect(listCell(n, first, "|")).toEqual(["1"]);
    expect(() => textCell(text, second)).toThrow(/E_CELL[\s\S]*rows\.jsonl:2/);
    expect(() => textCell(n, first)).toThrow(/E_CELL/);
    expect(() => listCell(n, second, "|")).toThrow(/E_CELL/);
  });
});

describe("labels", () => {
  const columnOf = (...values: string[]) => {
    const content = values.map((value) => JSON.stringify({ label: value })).join("\n");
    return findColumn(tableOf("labels.jsonl", content), "label");
  };

  it("sorts whole numbers, and takes other names in order of appearance", () => {
    expect(labelNames(columnOf("10", "2", "10", "-1"))).toEqual(["-1", "2", "10"]);
    expect(labelNames(columnOf("b", "a", " b ", "2"))).toEqual(["b", "a", "2"]);
  });

  it("takes whole numbers below the model's number of labels as ids, also where some are missing", () => {
    expect(labelNames(columnOf("2", "0"), { count: 3 })).toEqual(["0", "1", "2"]);
    expect(labelNames(columnOf("1", "2"), { count: 2 })).toEqual(["1", "2"]);
    expect(() => labelNames(columnOf("a", "b", "c"), { count: 2 })).toThrow(
      /E_LABEL_COUNT[\s\S]*"a", "b", "c"/,
    );
  });

  it("gives ids, and names the line of an unknown label", () => {
    const column = columnOf("cat", "dog", "cat");
    const labels = classLabels(column, labelNames(column));
    expect(labels.collate([2, 1, 0, 0])).toEqual({
      dtype: "int32",
      shape: [4],
      data: Int32Array.of(0, 1, 0, 0),
    });
    expect(() => classLabels(columnOf("cat", "cow"), ["cat", "dog"])).toThrow(
      /E_LABEL_UNKNOWN[\s\S]*"cow"[\s\S]*labels\.jsonl:2[\s\S]*"cat", "dog"/,
    );
    expect(() => labelNames(columnOf("cat", " "))).toThrow(/E_CELL[\s\S]*:2[\s\S]*empty/);
  });

  it("reads numbers to regress to, and names the line of what is none", () => {
    expect(numberLabels(columnOf("2.5", " -1e2 ")).collate([1, 0])).toEqual({
      dtype: "float32",
      shape: [2],
      data: Float32Array.of(-100, 2.5),
    });
    for (const bad of ["", "five", "NaN", "Infinity", "1,5"]) {
      expect(() => numberLabels(columnOf("1", bad)), bad).toThrow(/E_CELL[\s\S]*labels\.jsonl:2/);
    }
  });

  it("reads several labels a row, as lists or with bars between", () => {
    const table = tableOf("many.jsonl", '{"label":["x","y"]}\n{"label":[]}\n{"label":"z|x"}\n');
    const column = findColumn(table, "label");
    const names = multiLabelNames(column);
    expect(names).toEqual(["x", "y", "z"]);
    expect(multiLabels(column, names).collate([0, 1, 2])).toEqual({
      dtype: "float32",
      shape: [3, 3],
      data: Float32Array.of(1, 1, 0, 0, 0, 0, 1, 0, 1),
    });
    expect(() => multiLabels(column, ["x", "y"])).toThrow(/E_LABEL_UNKNOWN[\s\S]*"z"/);
  });
});
