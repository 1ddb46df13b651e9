/** A lock file that keeps two processes from training one artifact. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { InternalError } from "../diagnostics/define.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { processStart } from "./process-start.ts";

/** Lock files that this process holds. */
const held = new Set<string>();

/** A lock without content this old was left by a process that died between making and filling it. */
const emptyFor = 5000;

/**
 * Takes the lock of a folder, which is made where it does not exist, and gives what releases it. A lock that a process
 * left behind when it died is taken over, also where another process, or this one, has its number now.
 *
 * @throws DiagnosticError `E_LOCKED` while another trainer runs there.
 */
export function lockArtifact(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const file = join(resolve(folder), ".lock");
  for (let attempt = 0; attempt < 3; attempt++) {
    if (create(file)) {
      held.add(file);
      let isReleased = false;
      return () => {
        if (isReleased) return;
        isReleased = true;
        held.delete(file);
        rmSync(file, { force: true });
      };
    }
    const owner = readOwner(file);
    if (owner !== undefined && isHeld(file, owner)) throw runtimeErrors.E_LOCKED(folder, owner.pid);
    if (owner !== undefined) removeStale(file, owner);
  }
  throw runtimeErrors.E_LOCKED(folder, readOwner(file)?.pid);
}

/** Makes the file unless it is there. */
function create(file: string): boolean {
  const content = `${process.pid} ${processStart(process.pid) ?? ""}`;
  return succeeds("EEXIST", () => writeFileSync(file, content, { flag: "wx" }));
}

/** Whether something was done; false where the system refuses with a code that is expected. */
function succeeds(expected: string, action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === expected) return false;
    throw error;
  }
}

interface Owner {
  /** Undefined where the file does not say. */
  readonly pid: number | undefined;
  /** When that process began; undefined where the system cannot tell. */
  readonly started: string | undefined;
  /** Whether the file was made just now, so that it may still be written. */
  readonly isNew: boolean;
}

/** What a lock file says; undefined once it is gone. */
function readOwner(file: string): Owner | undefined {
  try {
    const [pid = "", started = ""] = readFileSync(file, "utf8").trim().split(" ");
    return {
      pid: /^[1-9]\d*$/.test(pid) ? Number(pid) : undefined,
      started: started === "" ? undefined : started,
      isNew: Date.now() - statSync(file).mtimeMs < emptyFor,
    };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

function isHeld(file: string, { pid, started, isNew }: Owner): boolean {
  if (pid === undefined) return isNew;
  if (!isAlive(pid)) return false;
  // After a restart, most of all in containers, this process or another may have the number of the one that died.
  const now = processStart(pid);
  if (started !== undefined && now !== undefined) return started === now;
  return pid === process.pid ? held.has(file) : true;
}

/** Takes away the lock of a dead process. Renaming first lets only one of several processes have it. */
function removeStale(file: string, { pid, started }: Owner): void {
  const aside = `${file}-${process.pid}`;
  if (!succeeds("ENOENT", () => renameSync(file, aside))) return;
  const taken = readOwner(aside);
  // Another process was faster, and this is its lock by now: it is put back.
  if (taken?.pid !== pid || taken?.started !== started) succeeds("EEXIST", () => linkSync(aside, file));
  rmSync(aside, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw new InternalError("process.kill threw no error");
    // A process of another user exists but may not be signalled.
    return error.code === "EPERM";
  }
}
