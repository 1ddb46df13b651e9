/** Finds the file that external data lies in, and refuses every way out of the model's folder. */
import { lstatSync, realpathSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ByteRange } from "../ir/tensor.ts";

/** What may be followed out of the folder when the user says so. */
export interface ExternalOptions {
  /** Resolve symbolic and hard links to the files they stand for. */
  readonly followLinks?: boolean;
}

/** External data of a tensor as the file claims it. */
export interface ExternalClaim {
  readonly tensor: string;
  readonly location: string;
  readonly offset: number;
  /** Undefined where the file leaves it out: the tensor's own size. */
  readonly length: number | undefined;
}

/**
 * Checks a claim and gives the byte range. The location must be a relative path inside `folder` without `..`, and lead
 * to a regular file there (CVE-2022-25882, CVE-2024-27318, CVE-2024-5187).
 *
 * @param folder absolute folder of the model; undefined for models in memory, which cannot have external data.
 * @param size bytes that the tensor needs.
 * @throws DiagnosticError `E_EXTERNAL_*` naming tensor, location and reason.
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
  const parts = location.split(/[/\\]/);
  if (isAbsolute(location) || /^[a-zA-Z]:/.test(location) || parts.includes("..")) {
    throw onnxErrors.E_EXTERNAL_OUTSIDE(tensor, location, "it is absolute or contains ..");
  }
  const file = checkedFile(resolve(folder, location), folder, claim, followLinks);
  const available = lstatSync(file).size;
  if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > available) {
    throw onnxErrors.E_EXTERNAL_RANGE(tensor, location, offset, length, available);
  }
  if (length !== size) throw onnxErrors.E_TENSOR_SIZE(tensor, size, length);
  return { file, offset, length };
}

function checkedFile(path: string, folder: string, claim: ExternalClaim, followLinks: boolean): string {
  const { tensor, location } = claim;
  let status: ReturnType<typeof lstatSync>;
  let real: string;
  try {
    status = lstatSync(path);
    real = realpathSync(path);
  } catch {
    throw onnxErrors.E_EXTERNAL_MISSING(tensor, location, path);
  }
  if (status.isSymbolicLink()) {
    if (!followLinks) throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a symbolic link");
    status = lstatSync(real);
  } else {
    // A folder on the way may be a link as well.
    const inside = relative(realpathSync(folder), real);
    if (!followLinks && (inside.startsWith("..") || isAbsolute(inside) || inside.split(sep).includes(".."))) {
      throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a path through a symbolic link");
    }
  }
  if (!status.isFile()) throw onnxErrors.E_EXTERNAL_OUTSIDE(tensor, location, "it is no regular file");
  if (status.nlink > 1 && !followLinks) throw onnxErrors.E_EXTERNAL_LINK(tensor, location, "a hard link");
  return real;
}
