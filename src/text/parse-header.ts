/** Reads the fields in `<...>` before a main graph or a function. */
import { textErrors } from "../diagnostics/text.ts";
import type { Model } from "../ir/model.ts";
import { type ParseContext, readInteger, readList, readSafeInteger, readString } from "./parse-context.ts";
import type { Scanner } from "./scanner.ts";

const modelTexts = {
  producer_name: "producerName",
  producer_version: "producerVersion",
  domain: "domain",
  doc_string: "docString",
} as const;

type ModelText = keyof typeof modelTexts;

/** Whether a field of the header holds a text. */
export function isModelText(key: string): key is ModelText {
  return Object.hasOwn(modelTexts, key);
}

/** Sets the field that the header's `key` names. */
export function setModelText(model: Model, key: ModelText, text: string): void {
  model[modelTexts[key]] = text;
}

/** Consumes the fields of a model after `<`; those that are left out stay as they are. */
export function readModelHeader(context: ParseContext, model: Model): void {
  const { scanner } = context;
  readFields(scanner, (key) => {
    if (isModelText(key)) setModelText(model, key, readString(scanner, "a text"));
    else if (key === "ir_version") model.irVersion = readSafeInteger(scanner, "a version");
    else if (key === "opset_import") readOpsets(context, model.opsets);
    else if (key === "model_version") model.modelVersion = readInteger(scanner, "a version");
    else if (key === "metadata_props") readMetadata(scanner, model.metadata);
    else
      return `${Object.keys(modelTexts).join(", ")}, ir_version, opset_import, model_version or metadata_props`;
    return undefined;
  });
}

/** Fields of a function. */
export interface FunctionHeader {
  readonly domain: string;
  readonly overload: string;
  readonly docString: string;
  readonly opsets: Map<string, number>;
}

/** Consumes the fields of a function after `<`. */
export function readFunctionHeader(context: ParseContext): FunctionHeader {
  const { scanner, aliases } = context;
  const texts = { domain: "", overload: "", doc_string: "" };
  const opsets = new Map<string, number>();
  readFields(scanner, (key) => {
    if (key === "domain" || key === "overload" || key === "doc_string")
      texts[key] = readString(scanner, "a text");
    else if (key === "opset_import") readOpsets(context, opsets);
    else return "domain, overload, opset_import or doc_string";
    return undefined;
  });
  const { domain, overload, doc_string: docString } = texts;
  return {
    domain: aliases.get(domain) ?? domain,
    overload: aliases.get(overload) ?? overload,
    docString,
    opsets,
  };
}

/** Consumes `key: value, ...>`; `readValue` gives the keys that it knows where it does not know this one. */
function readFields(scanner: Scanner, readValue: (key: string) => string | undefined): void {
  do {
    const { at } = scanner;
    const key = scanner.identifier("a field such as ir_version");
    scanner.expect(":");
    const expected = readValue(key);
    if (expected !== undefined)
      throw textErrors.E_TEXT_SYNTAX(scanner.place(at), expected, JSON.stringify(key));
  } while (scanner.matches(","));
  scanner.expect(">");
}

/** Consumes `["domain" : version, ...]`, in place of what `opsets` held. */
function readOpsets({ scanner, aliases }: ParseContext, opsets: Map<string, number>): void {
  opsets.clear();
  scanner.expect("[");
  readList(scanner, "]", () => {
    const spelled = readString(scanner, "a domain");
    const domain = aliases.get(spelled) ?? spelled;
    scanner.expect(":");
    opsets.set(domain === "ai.onnx" ? "" : domain, readSafeInteger(scanner, "a version"));
  });
}

function readMetadata(scanner: Scanner, metadata: Map<string, string>): void {
  scanner.expect("[");
  readList(scanner, "]", () => {
    const key = readString(scanner, "a key");
    scanner.expect(":");
    metadata.set(key, readString(scanner, "a text"));
  });
}
