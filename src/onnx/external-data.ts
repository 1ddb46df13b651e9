/** Finds the file that external data lies in, and refuses every way out of the model's folder. */
import { lstatSync, realpathSync, type Stats } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ByteRange } from "../ir/tensor.ts";

/** What may be followed out of the folder when the user says so. */
export interface ExternalOptions {
  /** Resolve symbolic links to the files they stand for, and accept hard links. */
  readonly followLinks?: boolean;
}

/** External data of a tensor as the file claims it; numbers that cannot be read are NaN. */
export interface ExternalClaim {
  readonly tensor: string;
  readonly location: string;
  readonly offset: number;
  /** Undefined where the file leaves it out: the tensor's own size. */
  readonly length: number | undefined;
}

/**
 * Checks a claim and gives the byte range. The location must be a relative path inside `folder` without `..`, and lead
 * to a regular file there that has no other name (CVE-2022-25882, CVE-2024-27318, CVE-2024-5187).
 *
 * @param folder absolute folder of the model; undefined for models in memory, which cannot have external data.
 * @param size bytes that the tensor needs.
 * @returns a range whose path lies below `folder`, unless links were followed out of it.
 * @throws DiagnosticError `E_EXTERNAL_*` and `E_TENSOR_SIZE`, naming tensor, location and reason.
 */
export function resolveExternal(
  claim: ExternalClaim,
  folder: string | undefined,
  size: number,
  { followLinks = false }: ExternalOptions = {},
): ByteRange {
  const { tensor, location, offset, length = size } = claim;
  if (folder === undefined || folder === "") throw onnxErrors.E_EXTERNAL_NO_FOLDER(tensor, location);
  if (location === "" || location.includes("\0"))
    throw onnxErrors.E_EXTERNAL_OUTSIDE(tensor, location, "it is no path");
  // Backslashes and drive letters mean nothing on POSIX systems, but would once the model is moved to Windows.
  const parts = location.split(/[/\\]/);
  if (isAbsolute(location) || parts[0] === "" || /^[a-zA-Z]:/.test(location) || parts.includes("..")) {
    throw onnxErrors.E_EXTERNAL_OUTSIDE(tensor, location, "it is absolute or contains ..");
  }
  const { file, available } = checkFile(folder, claim, followLinks);
  const inside = [offset, length].every((number) => Number.isSafeInteger(number) && number >= 0);
  if (!inside || offset + length > available) {
    throw onnxErrors.E_EXTERNAL_RANGE(tensor, location, offset, length, available);
  }
  if (length !== size) throw onnxErrors.E_TENSOR_SIZE(tensor, bytes(size), bytes(length));
  return { file, offset, length };
}

function bytes(count: number): string {
  return `${count} bytes`;
}

function checkFile(
  folder: string,
  { tensor, location }: ExternalClaim,
  followLinks: boolean,
): { readonly file: string; readonly available: number } {
  const path = resolve(folder, location);
  let own: Stats;
  let target: Stats;
  let real: string;
  let realFolder: string;
  try {
    own = lstatSync(path);
    real = realpathSync(path);
    target = lstatSync(real);
    realFolder = realpathSync(folder);
  } catch {
    throw onnxErrors.E_EXTERNAL_MISSING(tensor, location, path);
  }
  if (!target.isFile()) throw onnxErrors.E_EXTERNAL_OUTSIDE(tensor, location, "it is no regular file");
  const inside = relative(realFolder, real);
  const isInside = inside !== "" && !isAbsolute(inside) && inside.split(sep)[0] !== "..";
  if (!followLinks) {
    if (own.isSymbolicLink()) throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a symbolic link");
    if (!isInside) throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a path through a symbolic link");
    if (target.nlink > 1) throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a hard link");
  }
  // The folder's own path may lead through links, so that only a path built on it is relative to it.
  return { file: isInside ? join(folder, inside) : real, available: target.size };
}
