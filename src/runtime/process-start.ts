/** When a process began, which tells it from a later one that has the same number. */
import { readFileSync } from "node:fs";

/** A text that is the same for one process always, and different for another; undefined where the system has none. */
export function processStart(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The second field is the program's name in brackets, which may hold spaces; the 22nd is the start in clock ticks.
    const ticks = status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
    return ticks === undefined ? undefined : `${boot}:${ticks}`;
  } catch {
    // Only Linux has these files.
    return undefined;
  }
}
