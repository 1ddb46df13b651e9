/** Diagnostics of reading adapter folders. */
import { defineDiagnostics } from "./define.ts";

export const peftErrors = defineDiagnostics({
  E_PEFT_FILE_MISSING: (file: string) => ({
    message: "the adapter folder lacks a file",
    place: file,
    expected: "adapter_config.json and adapter_model.safetensors, as PEFT's save_pretrained writes them",
    got: "no such file",
    next: "give the folder that holds both; an adapter saved under a name lies in a folder of that name",
  }),
  E_PEFT_CONFIG: (file: string, start: string) => ({
    message: "the adapter's configuration is not a JSON object",
    place: file,
    expected: "a JSON object with peft_type",
    got: start,
    next: "save the adapter again",
  }),
  E_PEFT_TYPE_UNKNOWN: (folder: string, type: string, known: readonly string[]) => ({
    message: `the adapter is of type ${type}, which has no method here`,
    place: folder,
    expected: known.join(", "),
    got: type,
    next: "load a method of this type with --use, or convert the adapter to LoRA in PEFT",
  }),
  E_PEFT_FIELD_UNSUPPORTED: (folder: string, field: string, value: string, expected: string) => ({
    message: `the adapter's configuration sets ${field}, which changes the computation and is not supported`,
    place: folder,
    expected: `${field}: ${expected}`,
    got: `${field}: ${value}`,
    next: "merge the adapter in PEFT, or train one without this option",
  }),
  E_COMBINE_METHOD: (folder: string, method: string, known: readonly string[]) => ({
    message: `adapters of the method ${method} cannot be combined into one`,
    place: folder,
    expected: known.join(", "),
    got: method,
    next: "keep them apart and choose one for each row with `peft-compile attach`, or convert them to LoRA in PEFT",
  }),
  E_COMBINE_METHODS_DIFFER: (folder: string, method: string, first: string) => ({
    message: `adapters of ${first} and ${method} have nothing that could be added`,
    place: folder,
    expected: first,
    got: method,
    next: "combine adapters of one method",
  }),
  E_COMBINE_TYPE: (method: string, type: string, types: readonly string[]) => ({
    message: `adapters of ${method} cannot be combined by ${type}`,
    place: "--type",
    expected: types.join(", "),
    got: type,
    next: `choose one of these, ${types[0] ?? "none"} is the usual one`,
  }),
  E_COMBINE_OPTION: (option: string, type: string, expected: string, got: string) => ({
    message: `a combination by ${type} ${expected === "nothing" ? "has no" : "needs a"} ${option}`,
    place: option,
    expected,
    got,
    next: `see what each type takes with \`peft-compile combine --help\``,
  }),
  E_COMBINE_REFUSED: (folder: string, module: string | undefined, reason: string) => ({
    message: `${module === undefined ? "these adapters" : `module "${module}"`} cannot be combined: ${reason}`,
    place: folder,
    expected: "adapters whose updates are added up by this type",
    got: reason,
    next: "choose another type, or keep them apart and choose one for each row with `peft-compile attach`",
  }),
  E_COMBINE_OVERLAP: (folder: string, key: string, first: string) => ({
    message: `both adapters bring their own "${key}", which is no part of the update and cannot be weighted`,
    place: folder,
    expected: `a tensor that is in one of them alone, or the same as in ${first}`,
    got: "another tensor of that name",
    next: "train with --modules-to-save none and without bias, or keep the adapters apart",
  }),
  E_ATTACH_NAME: (name: string, expected: string, names: readonly string[]) => ({
    message: `"${name}" cannot be the name of an adapter here`,
    place: "--adapter NAME=DIR, --active NAMES",
    expected,
    got: `${name}, of ${names.join(", ")}`,
    next: "give every adapter a name of its own",
  }),
});
