/** Tells failures of the operating system, which are the input's fault, from other errors. */

/** Why the system refused a file operation; undefined for any other error. */
export function systemReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined;
  // Node's own limits (such as reading over 2 GiB at once) carry codes that start with ERR_FS.
  if (!("syscall" in error) && !error.code.startsWith("ERR_FS_")) return undefined;
  return error.message;
}
