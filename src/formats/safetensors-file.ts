/** safetensors files on disk: read lazily, tensor by tensor, and written whole or not at all. */
import { formatErrors } from "../diagnostics/formats.ts";
import { writeFileAtomic } from "./atomic-file.ts";
import { withFile } from "./read-file.ts";
import {
  layOut,
  readHeader,
  type SafetensorsHeader,
  SafetensorsReader,
  type SafetensorsTensor,
} from "./safetensors.ts";

/** A safetensors file; only its header is in memory, and it is open only while something is read. */
export class SafetensorsFile extends SafetensorsReader {
  readonly path: string;

  private constructor(path: string, version: string, header: SafetensorsHeader) {
    super(path, header, (offset, length) =>
      withFile(path, (file) => {
        if (file.version !== version) throw formatErrors.E_FILE_CHANGED(path, version, file.version);
        return file.read(offset, length);
      }),
    );
    this.path = path;
  }

  /**
   * Reads and checks the header. `bytes` of the result throws `E_FILE_CHANGED` once the file was written again.
   *
   * @throws DiagnosticError `E_FILE_READ`, or what {@link readHeader} finds wrong.
   */
  static open(path: string): SafetensorsFile {
    return withFile(path, ({ size, version, read }) => {
      return new SafetensorsFile(path, version, readHeader(size, read, path));
    });
  }
}

/**
 * Writes a safetensors file by way of a temporary one, one tensor in memory at a time.
 *
 * @throws DiagnosticError `E_FILE_WRITE`.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly SafetensorsTensor[],
  metadata: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  await writeFileAtomic(path, layOut(tensors, metadata).chunks());
}
