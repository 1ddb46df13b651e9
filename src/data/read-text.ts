/** Reads text files in UTF-8, without a byte order mark. */
import { dataErrors } from "../diagnostics/data.ts";
import { readBytes } from "../formats/read-file.ts";

/** @throws DiagnosticError `E_FILE_READ` or `E_TEXT_ENCODING`. */
export function readText(path: string): string {
  const bytes = readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw dataErrors.E_TEXT_ENCODING(path);
  }
}
