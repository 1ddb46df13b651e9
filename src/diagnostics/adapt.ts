/** Diagnostics of choosing and adapting modules. */
import { defineDiagnostics } from "./define.ts";

const listed = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

export const adaptErrors = defineDiagnostics({
  E_TARGET_NOT_FOUND: (targets: string, near: readonly string[], available: readonly string[]) => ({
    message: `no module matches the targets ${targets}`,
    place: "--target",
    expected: near.length > 0 ? `did you mean ${listed(near)}?` : `one of ${listed(available.slice(0, 12))}`,
    got: targets,
    next: "run `peft-compile inspect MODEL` to list every module with its path",
  }),
  E_TARGET_ALL_EXCLUDED: (targets: string, excluded: string) => ({
    message: `every module that matches ${targets} is excluded or trained whole`,
    place: "--target, --exclude, --modules-to-save",
    expected: "at least one module left to adapt",
    got: `excluded or saved: ${excluded}`,
    next: "narrow --exclude or --modules-to-save",
  }),
  E_TARGET_MISSING: (available: readonly string[]) => ({
    message: "no target modules are given",
    place: "--target",
    expected: `names such as ${listed(available.slice(0, 6))}, a regular expression, or all-linear`,
    got: "nothing",
    next: "add --target all-linear",
  }),
  E_NO_SITES: (model: string) => ({
    message: "the model has no module that an adapter can attach to",
    place: model,
    expected: "a MatMul, Gemm, Conv or Gather with a constant float weight",
    got: "none",
    next: "run `peft-compile inspect MODEL`; quantised or computed weights are not adapted",
  }),
  E_SITE_REFUSED: (path: string, method: string, reason: string, kinds: readonly string[]) => ({
    message: `module "${path}" cannot be adapted by ${method}: ${reason}`,
    place: path,
    expected: `a module of kind ${listed(kinds)}`,
    got: reason,
    next: `leave it out with --exclude ${path}`,
  }),
  E_METHOD_UNKNOWN: (name: string, candidates: readonly string[]) => ({
    message: `there is no method "${name}"`,
    place: "--method",
    expected: `one of ${listed(candidates)}`,
    got: name,
    next: "run `peft-compile methods` for the list, or load a file with --use",
  }),
  E_CHECKPOINT_KEY_MISSING: (file: string, key: string, near: readonly string[]) => ({
    message: `the adapter file has no tensor "${key}"`,
    place: file,
    expected: key,
    got: near.length > 0 ? `nearest: ${listed(near)}` : "no similar key",
    next: "check that the adapter was made for this model and these targets",
  }),
  E_CHECKPOINT_SHAPE: (file: string, key: string, expected: string, got: string) => ({
    message: `tensor "${key}" of the adapter has another shape than the model needs`,
    place: file,
    expected,
    got,
    next: "check that the adapter was made for this model and rank",
  }),
  E_CHECKPOINT_DTYPE: (file: string, key: string, expected: string, got: string) => ({
    message: `tensor "${key}" of the adapter has elements of another kind than the model needs`,
    place: file,
    expected: expected.startsWith("float") ? "F32, F16, BF16 or F64" : expected,
    got,
    next: "save the adapter again, with the types that PEFT gives it",
  }),
  E_MERGE_MODULE: (name: string) => ({
    message: `the source model has no "${name}", which was trained`,
    place: name,
    expected: "the model that was compiled, with every module and parameter under its name",
    got: "no such module or parameter in the graph of the file",
    next: "merge into the file that was compiled, or export the adapter instead: peft-compile export DIR --format peft",
  }),
  E_MERGE_REFUSED: (path: string, method: string, reason: string) => ({
    message: `the adapter on "${path}" cannot be merged: ${reason}`,
    place: path,
    expected: `weights into which ${method} can be folded`,
    got: reason,
    next: "export the adapter instead: peft-compile export DIR --format peft",
  }),
});
