/**
 * Reads zip archives in memory, stored and deflated, and checks what they claim: ranges, sizes and CRC-32. Ours
 * because the small libraries for it accept wrong sizes and checksums in silence.
 * Format: APPNOTE.TXT of PKWARE, without encryption, volumes and ZIP64.
 */
import { crc32, inflateRawSync } from "node:zlib";
import { formatErrors } from "../diagnostics/formats.ts";

/** One file of an archive. */
export interface ZipEntry {
  readonly name: string;
  /** Unpacks the file at each call. @throws DiagnosticError `E_ZIP`. */
  readonly bytes: () => Uint8Array;
}

const endSignature = 0x06054b50;
const endSize = 22;
const directorySignature = 0x02014b50;
const directorySize = 46;
const localSignature = 0x04034b50;
const localSize = 30;
const longestComment = 0xffff;
const stored = 0;
const deflated = 8;

/**
 * Lists the files of an archive in the order of its directory.
 *
 * @throws DiagnosticError `E_ZIP` when the directory is damaged, or holds a name twice.
 */
export function readZip(archive: Uint8Array, place: string): ZipEntry[] {
  const view = new DataView(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = findEnd(view, place);
  const count = view.getUint16(end + 10, true);
  const size = view.getUint32(end + 12, true);
  let at = view.getUint32(end + 16, true);
  if (at + size > end)
    throw formatErrors.E_ZIP(place, `a directory that ends before byte ${end}`, `${at} + ${size}`);
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    if (at + directorySize > end || view.getUint32(at, true) !== directorySignature) {
      throw formatErrors.E_ZIP(place, `${count} directory entries`, `${i} and no more at byte ${at}`);
    }
    const { entry, next } = readDirectoryEntry(archive, view, at, end, place);
    if (names.has(entry.name)) throw formatErrors.E_ZIP(place, "every name once", `"${entry.name}" twice`);
    names.add(entry.name);
    entries.push(entry);
    at = next;
  }
  return entries;
}

/** The end record is the last thing in the file but for a comment, which may itself hold its signature. */
function findEnd(view: DataView, place: string): number {
  const last = view.byteLength - endSize;
  for (let at = last; at >= Math.max(0, last - longestComment); at--) {
    if (
      view.getUint32(at, true) !== endSignature ||
      at + endSize + view.getUint16(at + 20, true) !== view.byteLength
    ) {
      continue;
    }
    if (
      view.getUint16(at + 4, true) !== 0 ||
      view.getUint16(at + 8, true) !== view.getUint16(at + 10, true)
    ) {
      throw formatErrors.E_ZIP(place, "an archive in one file", "one of several volumes");
    }
    return at;
  }
  throw formatErrors.E_ZIP(place, "a zip directory at the end of the file", "none");
}

/** What the directory says of one file. */
interface Claim {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly unpacked: number;
  readonly local: number;
}

function readDirectoryEntry(
  archive: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  place: string,
): { entry: ZipEntry; next: number } {
  const nameEnd = at + directorySize + view.getUint16(at + 28, true);
  const next = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  if (next > end)
    throw formatErrors.E_ZIP(place, `directory entries before byte ${end}`, `one up to byte ${next}`);
  const claim: Claim = {
    name: new TextDecoder().decode(archive.subarray(at + directorySize, nameEnd)),
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packed: view.getUint32(at + 20, true),
    unpacked: view.getUint32(at + 24, true),
    local: view.getUint32(at + 42, true),
  };
  return { entry: { name: claim.name, bytes: () => unpack(archive, view, claim, place) }, next };
}

function unpack(archive: Uint8Array, view: DataView, claim: Claim, place: string): Uint8Array {
  const refuse = (expected: string, got: string): Error =>
    formatErrors.E_ZIP(place, `${expected} ("${claim.name}")`, got);
  const packed = packedBytes(archive, view, claim, refuse);
  const bytes = claim.method === stored ? packed : inflate(packed, claim.unpacked, refuse);
  if (bytes.byteLength !== claim.unpacked)
    throw refuse(`${claim.unpacked} bytes`, `${bytes.byteLength} bytes`);
  if (crc32(bytes) !== claim.crc)
    throw refuse("the checksum in the directory", "another: the content is damaged");
  return bytes;
}

function packedBytes(
  archive: Uint8Array,
  view: DataView,
  { flags, method, packed, unpacked, local }: Claim,
  refuse: (expected: string, got: string) => Error,
): Uint8Array {
  if ((flags & 1) !== 0) throw refuse("a file that is not encrypted", "an encrypted one");
  if (method !== stored && method !== deflated) throw refuse("a stored or deflated file", `method ${method}`);
  if ([packed, unpacked, local].includes(0xffffffff)) throw refuse("a file below 4 GiB", "a ZIP64 entry");
  if (local + localSize > archive.byteLength || view.getUint32(local, true) !== localSignature) {
    throw refuse(`a file header at byte ${local}`, "none");
  }
  const start = local + localSize + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + packed > archive.byteLength) {
    throw refuse(`bytes ${start} to ${start + packed}`, `an archive of ${archive.byteLength} bytes`);
  }
  return archive.subarray(start, start + packed);
}

function inflate(
  packed: Uint8Array,
  size: number,
  refuse: (expected: string, got: string) => Error,
): Uint8Array {
  try {
    // Zero is not a limit to Node; one byte too many is seen by the caller.
    return inflateRawSync(packed, { maxOutputLength: Math.max(size, 1) });
  } catch (error) {
    throw refuse(
      `a deflated stream of ${size} bytes`,
      error instanceof Error ? error.message : String(error),
    );
  }
}
