/** The tokenizer wrapper against the reference library: ids, types, truncation, words and decoding. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { Tokenizer } from "../../src/data/tokenizer.ts";

const ids = z.array(z.int());
const expectedSchema = z.object({
  cases: z.array(
    z.object({
      text: z.string(),
      pair: z.string().nullable(),
      limit: z.int().nullable(),
      ids,
      types: ids,
    }),
  ),
  plain: z.array(z.object({ text: z.string(), ids })),
  decoded: z.object({ ids, text: z.string() }),
  words: z.object({ words: z.array(z.string()), ids, word_ids: z.array(z.int().nullable()) }),
});
const root = "fixtures/tokenizers";
const reference = z
  .record(z.string(), expectedSchema)
  .parse(JSON.parse(readFileSync(`${root}/ids.json`, "utf8")));
const open = (name: string): Tokenizer => Tokenizer.open(`${root}/${name}/tokenizer.json`);

describe.each(Object.entries(reference))("%s", (name, { cases, plain, decoded, words }) => {
  const tokenizer = open(name);

  it("gives the reference's ids and types, whole and cut, alone and in pairs", () => {
    expect(cases.length).toBeGreaterThan(50);
    for (const { text, pair, limit, ids: expectedIds, types } of cases) {
      const encoding = tokenizer.encode(text, {
        ...(pair === null ? {} : { pair }),
        ...(limit === null ? {} : { maxLength: limit }),
      });
      const what = JSON.stringify({ text, pair, limit });
      expect(Array.from(encoding.ids), what).toEqual(expectedIds);
      expect(Array.from(encoding.typeIds), what).toEqual(types);
      const whole = cases.find((other) => other.text === text && other.pair === pair && other.limit === null);
      expect(encoding.cut, what).toBe(expectedIds.length < (whole?.ids.length ?? 0));
    }
  });

  it("gives the reference's ids without special tokens", () => {
    for (const { text, ids: expectedIds } of plain)
      expect(tokenizer.encodePlain(text), text).toEqual(expectedIds);
  });

  it("keeps track of words", () => {
    const encoding = tokenizer.encodeWords(words.words);
    expect(Array.from(encoding.ids)).toEqual(words.ids);
    expect(Array.from(encoding.words)).toEqual(words.word_ids.map((word) => word ?? -1));
    const cut = tokenizer.encodeWords(words.words, 7);
    expect(cut.ids.length).toBe(7);
    expect(cut.cut).toBe(true);
  });

  it("decodes", () => {
    expect(tokenizer.decode(decoded.ids)).toBe(decoded.text);
    expect(tokenizer.decode([])).toBe("");
  });

  it("refuses a limit that leaves room for nothing but special tokens", () => {
    expect(() => tokenizer.encode("text", { maxLength: name === "sentencepiece" ? 1 : 2 })).toThrow(
      /E_MAX_LENGTH/,
    );
    expect(() => tokenizer.encode("a", { pair: "b", maxLength: 2 })).toThrow(/E_MAX_LENGTH/);
  });
});

describe("special tokens", () => {
  it("finds the padding token in the file, or by a usual name, or takes 0", () => {
    expect(open("wordpiece").padId).toBe(0);
    expect(open("bytelevel").padId).toBe(1);
    expect(open("sentencepiece").padId).toBe(0);
  });

  it("finds the tokens that begin and end a text by their usual names", () => {
    expect(open("sentencepiece")).toMatchObject({ bosId: 1, eosId: 2 });
    expect(open("wordpiece")).toMatchObject({ bosId: undefined, eosId: undefined });
  });

  it("keeps special tokens out of decoded text unless asked", () => {
    const tokenizer = open("wordpiece");
    const { ids: encoded } = tokenizer.encode("the cat");
    expect(tokenizer.decode(Array.from(encoded), { special: true })).toBe("[CLS] the cat [SEP]");
    expect(tokenizer.decode(Array.from(encoded))).toBe("the cat");
  });

  it("reads tokenizer_config.json beside the tokenizer", () => {
    const folder = mkdtempSync(join(tmpdir(), "tokenizer-"));
    const path = join(folder, "tokenizer.json");
    writeFileSync(path, readFileSync(`${root}/bytelevel/tokenizer.json`));
    const config = {
      pad_token: { content: "</s>", lstrip: false },
      bos_token: "<s>",
      eos_token: "</s>",
      model_max_length: 512,
    };
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
    const { padId, bosId, eosId, modelMaxLength } = Tokenizer.open(path);
    expect({ padId, bosId, eosId, modelMaxLength }).toEqual({
      padId: 2,
      bosId: 0,
      eosId: 2,
      modelMaxLength: 512,
    });
    writeFileSync(
      join(folder, "tokenizer_config.json"),
      JSON.stringify({ model_max_length: 1e30, pad_token: null }),
    );
    expect(Tokenizer.open(path)).toMatchObject({ padId: 1, modelMaxLength: undefined });
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify({ pad_token: 3 }));
    expect(() => Tokenizer.open(path)).toThrow(/E_TOKENIZER[\s\S]*pad_token/);
  });
});

describe("other forms of tokenizer.json", () => {
  const bpe = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]] },
  };

  it("works without special tokens and leaves out what the vocabulary has not", () => {
    const tokenizer = new Tokenizer(bpe, {}, "x");
    expect(Array.from(tokenizer.encode("abca").ids)).toEqual([2, 0]);
    const pair = tokenizer.encode("abc", { pair: "ba", maxLength: 2 });
    expect(Array.from(pair.ids)).toEqual([2, 1]);
    expect(Array.from(pair.typeIds)).toEqual([0, 1]);
  });

  it("joins pairs that the byte-level processor leaves apart", () => {
    const processor = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true };
    const tokenizer = new Tokenizer({ ...bpe, post_processor: processor }, {}, "x");
    const pair = tokenizer.encode("ab", { pair: "a" });
    expect(Array.from(pair.ids)).toEqual([2, 0]);
    expect(Array.from(pair.typeIds)).toEqual([0, 1]);
  });

  it("refuses what is not a tokenizer and says why", () => {
    expect(() => new Tokenizer([], {}, "x.json")).toThrow(/E_TOKENIZER[\s\S]*x\.json/);
    expect(() => new Tokenizer({}, {}, "x.json")).toThrow(/E_TOKENIZER[\s\S]*model/);
    const unknown = { ...bpe, model: { type: "Magic", vocab: {} } };
    expect(() => new Tokenizer(unknown, {}, "x.json")).toThrow(/E_TOKENIZER[\s\S]*BPE/);
    const broken = { ...bpe, normalizer: { type: "Magic" } };
    expect(() => new Tokenizer(broken, {}, "x.json")).toThrow(/E_TOKENIZER[\s\S]*Magic/);
    const folder = mkdtempSync(join(tmpdir(), "tokenizer-"));
    const path = join(folder, "tokenizer.json");
    writeFileSync(path, "{");
    expect(() => Tokenizer.open(path)).toThrow(/E_TOKENIZER[\s\S]*JSON/);
    expect(() => Tokenizer.open(join(folder, "none.json"))).toThrow(/E_FILE_READ/);
  });
});
