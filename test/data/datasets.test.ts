/** The sources of batches: text rows, tagged words, windows of a corpus, and arrays. */
import { copyFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ArrayRows, isArrayFile } from "../../src/data/arrays.ts";
import type { Field, FieldRequest } from "../../src/data/batch.ts";
import { encodeCorpus, splitByCharacters, TokenWindows } from "../../src/data/causal-text.ts";
import { chooseTextColumns, findColumn } from "../../src/data/columns.ts";
import { classLabels } from "../../src/data/labels.ts";
import { readTable, type Table } from "../../src/data/table.ts";
import { TaggedWords, tagNames } from "../../src/data/tagged-words.ts";
import { TextRows } from "../../src/data/text-rows.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { encodeSafetensors } from "../../src/formats/safetensors.ts";

const folder = mkdtempSync(join(tmpdir(), "datasets-"));
const tokenizer = (name: string): Tokenizer => Tokenizer.open(`fixtures/tokenizers/${name}/tokenizer.json`);
const int64 = (...names: string[]): FieldRequest[] => names.map((name) => ({ name, dtype: "int64" }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A field as nested lists of numbers. */
function numbers(field: Field | undefined): number[] | number[][] {
  if (field === undefined) throw new Error("the batch lacks the field");
  const flat = [...field.data].map(Number);
  const [rows = 0, width] = field.shape;
  if (width === undefined) return flat;
  return Array.from({ length: rows }, (_, row) => flat.slice(row * width, (row + 1) * width));
}

describe("text rows", () => {
  const table: Table = readTable(
    write("rows.tsv", "text\tother\tlabel\nThe cat\tThe boat\t1\nThe baker sleeps.\train\t0\n"),
  );
  const wordpiece = tokenizer("wordpiece");
  const { text } = chooseTextColumns(table);
  const labels = classLabels(findColumn(table, "label"), ["0", "1"]);

  it("pads on the right to the longest row, and gives mask, types, positions and labels", () => {
    const rows = new TextRows({ tokenizer: wordpiece, text, labels });
    expect(rows.fields).toEqual(["input_ids", "attention_mask", "token_type_ids", "position_ids", "labels"]);
    const batch = rows.collate([0, 1], int64(...rows.fields));
    expect(batch.input_ids).toMatchObject({ dtype: "int64", shape: [2, 8] });
    expect(numbers(batch.input_ids)).toEqual([
      [...wordpiece.encode("The cat").ids, 0, 0, 0, 0],
      [...wordpiece.encode("The baker sleeps.").ids],
    ]);
    expect(numbers(batch.attention_mask)).toEqual([
      [1, 1, 1, 1, 0, 0, 0, 0],
      [1, 1, 1, 1, 1, 1, 1, 1],
    ]);
    expect(numbers(batch.token_type_ids)).toEqual([Array(8).fill(0), Array(8).fill(0)]);
    expect(numbers(batch.position_ids)).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7],
      [0, 1, 2, 3, 4, 5, 6, 7],
    ]);
    expect(numbers(batch.labels)).toEqual([1, 0]);
  });

  it("pads with the tokenizer's own padding token", () => {
    const rows = new TextRows({ tokenizer: tokenizer("bytelevel"), text, length: 20 });
    const [first] = numbers(rows.collate([0], int64("input_ids")).input_ids);
    expect(first).toEqual([...tokenizer("bytelevel").encode("The cat").ids, ...Array(15).fill(1)]);
  });

  it("encodes pairs with their types", () => {
    const rows = new TextRows({ tokenizer: wordpiece, text, pair: findColumn(table, "other") });
    const batch = rows.collate([0], int64("input_ids", "token_type_ids"));
    const { ids, typeIds } = wordpiece.encode("The cat", { pair: "The boat" });
    expect(numbers(batch.input_ids)).toEqual([[...ids]]);
    expect(numbers(batch.token_type_ids)).toEqual([[...typeIds]]);
    expect([...typeIds]).toContain(1);
  });

  it("cuts at the limit, counts each cut row once, and fills up to a fixed length", () => {
    const rows = new TextRows({ tokenizer: wordpiece, text, maxLength: 6, length: 7 });
    for (let time = 0; time < 2; time++) {
      const ids = numbers(rows.collate([1, 0], int64("input_ids")).input_ids);
      expect(ids).toEqual([
        [...wordpiece.encode("The baker sleeps.", { maxLength: 6 }).ids, 0],
        [...wordpiece.encode("The cat").ids, 0, 0, 0],
      ]);
    }
    expect(rows.cutRows).toBe(1);
    // Looking at lengths puts nothing into a batch.
    const unused = new TextRows({ tokenizer: wordpiece, text, maxLength: 6 });
    expect([0, 1].map((row) => unused.lengthOf?.(row))).toEqual([wordpiece.encode("The cat").ids.length, 6]);
    expect(unused.cutRows).toBe(0);
    expect(
      numbers(
        new TextRows({ tokenizer: wordpiece, text, length: 4 }).collate([1], int64("input_ids")).input_ids,
      ),
    ).toEqual([[...wordpiece.encode("The baker sleeps.", { maxLength: 4 }).ids]]);
  });

  it("can make the ids their own labels, ignored where there is padding", () => {
    const rows = new TextRows({ tokenizer: wordpiece, text, labels: "next-token", labelField: "targets" });
    const batch = rows.collate([0, 1], int64("targets"));
    expect(numbers(batch.targets)).toEqual([
      [...wordpiece.encode("The cat").ids, -100, -100, -100, -100],
      [...wordpiece.encode("The baker sleeps.").ids],
    ]);
  });

  it("makes only what is asked for, and refuses what it has not", () => {
    const rows = new TextRows({ tokenizer: wordpiece, text });
    expect(Object.keys(rows.collate([0], int64("attention_mask")))).toEqual(["attention_mask"]);
    expect(() => rows.collate([0], int64("labels"))).toThrow(
      /E_FIELD_MISSING[\s\S]*"labels"[\s\S]*"input_ids"/,
    );
  });
});

describe("tagged words", () => {
  const content = [
    { text: ["Nobody", "knows", "the", "baker"], label: ["O", "O", "O", "WHO"] },
    { text: ["rain"], label: ["WHAT"] },
  ];
  const table = readTable(write("tags.jsonl", content.map((row) => JSON.stringify(row)).join("\n")));
  const words = findColumn(table, "text");
  const tags = findColumn(table, "label");
  const wordpiece = tokenizer("wordpiece");

  it("labels the first token of each word and nothing else", () => {
    expect(tagNames(tags)).toEqual(["O", "WHO", "WHAT"]);
    const rows = new TaggedWords({ tokenizer: wordpiece, words, tags, names: tagNames(tags) });
    const batch = rows.collate([0, 1], int64("input_ids", "labels"));
    const encoding = wordpiece.encodeWords(content[0]?.text ?? []);
    const [first = [], second = []] = numbers(batch.labels);
    const starts = [...encoding.words].map((word, i, all) => word >= 0 && word !== all[i - 1]);
    expect(starts.filter(Boolean).length).toBe(4);
    expect(first).toEqual(
      starts.map((start, i) => (start ? ([0, 0, 0, 1][encoding.words[i] ?? 0] ?? 0) : -100)),
    );
    expect(second).toEqual([-100, 2, ...Array(encoding.ids.length - 2).fill(-100)]);
  });

  it("counts rows that are cut, and refuses rows whose labels do not match", () => {
    expect(
      new TaggedWords({ tokenizer: wordpiece, words, tags, names: tagNames(tags), maxLength: 5 }).cutRows,
    ).toBe(1);
    const bad = readTable(
      write("bad.jsonl", '{"text":["a"],"label":["O"]}\n{"text":["a","b"],"label":["O"]}'),
    );
    const options = { tokenizer: wordpiece, words: findColumn(bad, "text"), tags: findColumn(bad, "label") };
    expect(() => new TaggedWords({ ...options, names: ["O"] })).toThrow(/E_TAG_COUNT[\s\S]*bad\.jsonl:2/);
    expect(() => new TaggedWords({ ...options, names: ["B"] })).toThrow(/E_LABEL_UNKNOWN/);
  });
});

describe("causal text", () => {
  const llama = tokenizer("sentencepiece");

  it("encodes line by line, newlines included, without special tokens", () => {
    const text = "The cat\n\nwaits. ☂";
    const expected = ["The cat\n", "\n", "waits. ☂"].flatMap((line) => llama.encodePlain(line));
    expect(Array.from(encodeCorpus(llama, text))).toEqual(expected);
    expect(expected).not.toContain(1);
    expect(encodeCorpus(llama, "").length).toBe(0);
  });

  it("splits by characters, not by UTF-16 units", () => {
    expect(splitByCharacters("abcdefghij", 0.1)).toEqual({ train: "abcdefghi", heldOut: "j" });
    const text = `${"😀".repeat(5)}abcde`;
    expect(splitByCharacters(text, 0.5)).toEqual({ train: "😀".repeat(5), heldOut: "abcde" });
    expect(splitByCharacters(text, 0.7)).toEqual({ train: "😀".repeat(3), heldOut: "😀😀abcde" });
    expect(splitByCharacters(text, 0)).toEqual({ train: text, heldOut: "" });
    expect(splitByCharacters(text, 1)).toEqual({ train: "", heldOut: text });
  });

  it("cuts windows beside each other, or overlapping ones", () => {
    const ids = Int32Array.from({ length: 11 }, (_, i) => i);
    const windows = new TokenWindows(ids, { length: 4, source: "text" });
    expect(windows.rows).toBe(2);
    const batch = windows.collate([1, 0], int64("input_ids", "attention_mask", "position_ids", "labels"));
    expect(numbers(batch.input_ids)).toEqual([
      [4, 5, 6, 7],
      [0, 1, 2, 3],
    ]);
    expect(batch.labels).toEqual(batch.input_ids);
    expect(numbers(batch.attention_mask)).toEqual([
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ]);
    const all = new TokenWindows(ids, { length: 4, stride: 1, source: "text" });
    expect(all.rows).toBe(8);
    expect(numbers(all.collate([7], int64("input_ids")).input_ids)).toEqual([[7, 8, 9, 10]]);
    expect(new TokenWindows(ids, { length: 11, source: "text" }).rows).toBe(1);
    expect(() => new TokenWindows(ids, { length: 12, source: "text" })).toThrow(
      /E_CORPUS_SHORT[\s\S]*11 tokens/,
    );
  });
});

describe("arrays", () => {
  const path = (name: string, copy: string): string => {
    copyFileSync(`fixtures/formats/${copy}`, join(folder, name));
    return join(folder, name);
  };
  const image = encodeSafetensors([
    { name: "pixels", dtype: "U8", shape: [3, 1, 2], data: Uint8Array.of(0, 1, 2, 3, 4, 255) },
  ]);

  it("joins arrays of several files and gathers rows of each", () => {
    const rows = ArrayRows.open([path("data.npz", "stored.npz"), write("image.safetensors", image)]);
    expect(rows.rows).toBe(3);
    expect(rows.fields).toEqual(["input_ids", "labels", "pixels"]);
    const batch = rows.collate(
      [2, 0],
      [...int64("input_ids", "labels"), { name: "pixels", dtype: "float32" }],
    );
    expect(numbers(batch.input_ids)).toEqual([
      [4, 5],
      [0, 1],
    ]);
    expect(numbers(batch.labels)).toEqual([0, 0]);
    expect(batch.pixels).toEqual({
      dtype: "float32",
      shape: [2, 1, 2],
      data: Float32Array.of(4, 255, 0, 1),
    });
  });

  it("names the array of an npy file by the file", () => {
    const rows = ArrayRows.open([path("input_ids.npy", "i8.npy")]);
    expect(rows.fields).toEqual(["input_ids"]);
    const low = -(2n ** 63n);
    expect(rows.collate([1, 0], int64("input_ids")).input_ids?.data).toEqual(
      BigInt64Array.of(2n ** 63n - 1n, low),
    );
  });

  it("refuses unequal rows, single numbers, arrays given twice, and other files", () => {
    const npz = path("data.npz", "stored.npz");
    expect(() => ArrayRows.open([npz, path("mask.npy", "f2.npy")])).toThrow(
      /E_ARRAY_ROWS[\s\S]*3 rows[\s\S]*5 rows/,
    );
    expect(() => ArrayRows.open([path("x.npy", "scalar.npy")])).toThrow(/E_ARRAY_ROWS[\s\S]*single number/);
    expect(() => ArrayRows.open([npz, path("labels.npy", "i1.npy")])).toThrow(/E_ARRAY_TWICE[\s\S]*"labels"/);
    expect(() => ArrayRows.open(["x.csv"])).toThrow(/E_ARRAY_FORMAT/);
    expect(["a.npz", "b.NPY", "c.safetensors", "d.csv"].map(isArrayFile)).toEqual([true, true, true, false]);
  });

  it("says which array the model needs and which there are", () => {
    const rows = ArrayRows.open([path("data.npz", "stored.npz")]);
    expect(() => rows.collate([0], int64("attention_mask"))).toThrow(
      /E_FIELD_MISSING[\s\S]*"attention_mask"[\s\S]*"input_ids", "labels"/,
    );
  });
});
