/** Tests of src/runtime/lock.ts: one trainer at a time, and locks that dead processes left. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { lockArtifact } from "../../src/runtime/lock.ts";
import { processStart } from "../../src/runtime/process-start.ts";

const root = mkdtempSync(join(tmpdir(), "peft-lock-"));
afterAll(() => rmSync(root, { recursive: true }));
let count = 0;

/** The path of a lock in a new folder. */
function lockFile(content?: string): { folder: string; file: string } {
  count += 1;
  const folder = join(root, String(count));
  lockArtifact(folder)();
  const file = join(folder, ".lock");
  if (content !== undefined) writeFileSync(file, content);
  return { folder, file };
}

const locked = expect.objectContaining({ code: "E_LOCKED" });

function lockError(folder: string): unknown {
  try {
    lockArtifact(folder);
    return undefined;
  } catch (error) {
    return error;
  }
}

it("is held until it is released, within one process too", () => {
  const { folder, file } = lockFile();
  const release = lockArtifact(folder);
  expect(readFileSync(file, "utf8")).toMatch(new RegExp(`^${process.pid} `));
  expect(lockError(folder)).toEqual(locked);
  release();
  expect(existsSync(file)).toBe(false);
  // A second release must not take the lock of the next holder.
  const next = lockArtifact(folder);
  release();
  expect(existsSync(file)).toBe(true);
  next();
});

it("makes the folder", () => {
  const folder = join(root, "not", "there");
  lockArtifact(folder)();
  expect(readdirSync(folder)).toEqual([]);
});

it("is taken over from a process that is gone", () => {
  const { pid } = spawnSync(process.execPath, ["-e", ""]);
  const { folder } = lockFile(`${pid} `);
  const release = lockArtifact(folder);
  expect(readdirSync(folder)).toEqual([".lock"]);
  release();
});

it("is respected where the process runs", () => {
  const { folder } = lockFile(`${process.ppid} ${processStart(process.ppid) ?? ""}`);
  expect(lockError(folder)).toEqual(locked);
});

it.runIf(process.platform === "linux")("is taken over where another process has the number now", () => {
  for (const pid of [process.ppid, process.pid]) {
    const { folder } = lockFile(`${pid} ${processStart(pid)}0`);
    lockArtifact(folder)();
  }
});

it("counts as held while it is empty, but not forever", () => {
  const { folder, file } = lockFile("");
  expect(lockError(folder)).toEqual(locked);
  const before = Date.now() / 1000 - 60;
  utimesSync(file, before, before);
  lockArtifact(folder)();
});

it("does not blame another trainer for what the system refuses", () => {
  const { file } = lockFile("");
  expect(lockError(join(file, "folder"))).toMatchObject({ code: "ENOTDIR" });
});
