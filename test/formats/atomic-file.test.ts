/** Atomic writes: whole content or the old one, no temporary file left, and errors that say whose fault it is. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { writeFileAtomic } from "../../src/formats/atomic-file.ts";

describe("writeFileAtomic", () => {
  let folder = "";
  let path = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "atomic-"));
    path = join(folder, "file");
  });
  const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

  it("writes bytes, text, and chunks that are made one after the other", async () => {
    await writeFileAtomic(path, bytes(1, 2));
    expect(Array.from(readFileSync(path))).toEqual([1, 2]);
    await writeFileAtomic(path, "é");
    expect(readFileSync(path, "utf8")).toBe("é");
    await writeFileAtomic(path, [bytes(1), bytes(), bytes(2, 3)]);
    expect(Array.from(readFileSync(path))).toEqual([1, 2, 3]);
    async function* chunks(): AsyncGenerator<Uint8Array> {
      yield bytes(4);
      await Promise.resolve();
      yield bytes(5);
    }
    await writeFileAtomic(path, chunks());
    expect(Array.from(readFileSync(path))).toEqual([4, 5]);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("shows the old content until all chunks are written", async () => {
    writeFileSync(path, "old");
    const seen: string[] = [];
    function* chunks(): Generator<Uint8Array> {
      yield bytes(110);
      seen.push(readFileSync(path, "utf8"));
      yield bytes(101, 119);
      seen.push(readFileSync(path, "utf8"));
    }
    await writeFileAtomic(path, chunks());
    expect(seen).toEqual(["old", "old"]);
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  it("keeps the old content and passes the error on when the content fails midway", async () => {
    writeFileSync(path, "old");
    function* chunks(): Generator<Uint8Array> {
      yield bytes(1);
      throw new RangeError("no more");
    }
    await expect(writeFileAtomic(path, chunks())).rejects.toThrow(RangeError);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  it("refuses a missing folder and a folder in the file's place, and leaves nothing behind", async () => {
    const inside = join(folder, "missing", "file");
    await expect(writeFileAtomic(inside, "x")).rejects.toMatchObject({
      code: "E_FILE_WRITE",
      diagnostics: [{ place: inside, got: expect.stringContaining("ENOENT") }],
    });
    mkdirSync(path);
    writeFileSync(join(path, "kept"), "");
    await expect(writeFileAtomic(path, "x")).rejects.toThrow(/E_FILE_WRITE/);
    expect(readdirSync(folder)).toEqual(["file"]);
    expect(readdirSync(path)).toEqual(["kept"]);
  });

  it("lets the last of several writers win, each whole", async () => {
    const contents = ["a", "b", "c", "d"].map((letter) => letter.repeat(10_000));
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
    expect(contents).toContain(readFileSync(path, "utf8"));
    expect(readdirSync(folder)).toEqual(["file"]);
  });
});
