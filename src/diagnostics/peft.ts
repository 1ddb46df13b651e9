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
});
