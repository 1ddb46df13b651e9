/** Diagnostics of reading and writing files whose format knows nothing of models. */
import { defineDiagnostics } from "./define.ts";

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");

export const formatErrors = defineDiagnostics({
  E_FILE_READ: (file: string, reason: string) => ({
    message: "the file cannot be read",
    place: file,
    expected: "a readable file",
    got: reason,
    next: "check the path and its permissions",
  }),
  E_FILE_WRITE: (file: string, reason: string) => ({
    message: "the file cannot be written; what stood there before is unchanged",
    place: file,
    expected: "an existing folder that can be written to, with room for the file",
    got: reason,
    next: "check the folder, its permissions and the free space",
  }),
  E_FILE_CHANGED: (file: string, was: string, is: string) => ({
    message: "the file changed while it was in use",
    place: file,
    expected: `${was}, as when it was opened`,
    got: is,
    next: "leave the file alone until the command has ended, then run it again",
  }),
  E_SAFETENSORS_HEADER: (file: string, expected: string, got: string) => ({
    message: "this is not a well-formed safetensors file",
    place: file,
    expected,
    got,
    next: "the file is damaged, cut short or of another format: fetch or save it again",
  }),
  E_SAFETENSORS_TENSOR: (file: string, tensor: string, expected: string, got: string) => ({
    message: `the safetensors header describes tensor "${tensor}" in a way that cannot be true`,
    place: file,
    expected,
    got,
    next: "the file is damaged or was written by a faulty program: save it again",
  }),
  E_SAFETENSORS_DTYPE: (file: string, tensor: string, dtype: string, known: readonly string[]) => ({
    message: `tensor "${tensor}" has an element type that is not supported`,
    place: file,
    expected: `one of ${known.join(", ")}`,
    got: dtype,
    next: "convert the tensor to one of these types",
  }),
  E_SAFETENSORS_MISSING: (file: string, tensor: string, near: readonly string[]) => ({
    message: `the file has no tensor "${tensor}"`,
    place: file,
    expected: `a tensor named "${tensor}"`,
    got: near.length > 0 ? `nearest: ${quoted(near)}` : "no similar name",
    next: "check that this is the right file",
  }),
  E_NPY_HEADER: (file: string, expected: string, got: string) => ({
    message: "this is not a well-formed npy file",
    place: file,
    expected,
    got,
    next: "save the array again with numpy.save",
  }),
  E_NPY_DTYPE: (file: string, dtype: string, reason: string) => ({
    message: `the array's type ${dtype} is not supported: ${reason}`,
    place: file,
    expected: "little-endian float16, float32, float64, bool or integers of 8 to 64 bits",
    got: dtype,
    next: "convert it in numpy, for instance array.astype('<f4'), and save it again",
  }),
  E_ZIP: (file: string, expected: string, got: string) => ({
    message: "this is not a zip or npz archive that can be read",
    place: file,
    expected,
    got,
    next: "save it again with numpy.savez or numpy.savez_compressed",
  }),
  E_NPZ_MISSING: (file: string, name: string, names: readonly string[]) => ({
    message: `the archive has no array "${name}"`,
    place: file,
    expected: `an array named "${name}"`,
    got: names.length > 0 ? quoted(names) : "an empty archive",
    next: "name the arrays when saving: numpy.savez(FILE, name=array)",
  }),
});
