/** A lock file that keeps two processes from training one artifact. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runtimeErrors } from "../diagnostics/runtime.ts";

/** Takes the lock and gives what releases it. A lock of a process that no longer runs is taken over. */
export function lockArtifact(folder: string): () => void {
  const file = join(folder, ".lock");
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: "wx" });
      return () => rmSync(file, { force: true });
    } catch {
      const pid = Number(readText(file));
      if (isAlive(pid)) throw runtimeErrors.E_LOCKED(folder, pid);
      rmSync(file, { force: true });
    }
  }
  throw runtimeErrors.E_LOCKED(folder, Number(readText(file)));
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user exists but may not be signalled.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
