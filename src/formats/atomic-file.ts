/** Writes files so that a reader, or a run that is cut off, finds the old content or the new, never a part. */
import { randomBytes } from "node:crypto";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { formatErrors } from "../diagnostics/formats.ts";
import { systemReason } from "./system-error.ts";

/** What a file is to hold: all at once, or chunks that are made as they are written. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Most bytes given to one write call; the system refuses more than 2 GiB. */
const chunkLimit = 1 << 30;

/**
 * Writes a file by way of a temporary one in the same folder, which is flushed to disk and then renamed. On failure
 * the temporary file is removed and `path` keeps what it held; errors of the content's own iterator pass through.
 * A symbolic link at `path` is replaced, not followed.
 *
 * @throws DiagnosticError `E_FILE_WRITE` when the system refuses.
 */
export async function writeFileAtomic(path: string, content: FileContent): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeAndFlush(temporary, content);
    await rename(temporary, path);
    await flushFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    const reason = systemReason(error);
    if (reason === undefined) throw error;
    throw formatErrors.E_FILE_WRITE(path, reason);
  }
}

async function writeAndFlush(path: string, content: FileContent): Promise<void> {
  const handle = await open(path, "wx");
  try {
    for await (const chunk of chunksOf(content)) await writeWhole(handle, chunk);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function chunksOf(content: FileContent): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  if (typeof content === "string") return [new TextEncoder().encode(content)];
  return content instanceof Uint8Array ? [content] : content;
}

async function writeWhole(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.byteLength; ) {
    const { bytesWritten } = await handle.write(chunk, done, Math.min(chunk.byteLength - done, chunkLimit));
    done += bytesWritten;
  }
}

/** Flushes the folder's list of names, without which the rename may be lost in a power failure. */
async function flushFolder(folder: string): Promise<void> {
  // Windows has no such call on folders and refuses to open them.
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
