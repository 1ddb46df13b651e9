/** Reads model-local functions: `<fields> name <attributes> (inputs) => (outputs) { nodes }`. */
import { textErrors } from "../diagnostics/text.ts";
import type { Attribute } from "../ir/attribute.ts";
import { Graph } from "../ir/graph.ts";
import type { ModelFunction } from "../ir/model.ts";
import type { Directive } from "./directive.ts";
import { readAttribute } from "./parse-attribute.ts";
import { type ParseContext, readList, readName } from "./parse-context.ts";
import { readGraphBody } from "./parse-graph.ts";
import { type FunctionHeader, readFunctionHeader } from "./parse-header.ts";

const noHeader: FunctionHeader = { domain: "", overload: "", docString: "", opsets: new Map() };

/** Consumes a function. */
export function readFunction(context: ParseContext): ModelFunction {
  const { scanner } = context;
  const directive = scanner.takeDirective("function");
  const header = scanner.matches("<")
    ? readFunctionHeader(context)
    : { ...noHeader, opsets: new Map<string, number>() };
  const name = readName(context, "the name of a function");
  const { attributes, defaults } = readParameters(context, directive);
  const body = new Graph(name);
  readGraphBody(context, body, undefined, "function");
  return {
    ...header,
    name,
    body,
    attributes,
    defaults,
    docString: directive.doc ?? header.docString,
    metadata: new Map(directive.metadata),
  };
}

/** Attribute parameters: names, or names with a default. */
function readParameters(
  context: ParseContext,
  directive: Directive,
): { readonly attributes: readonly string[]; readonly defaults: ReadonlyMap<string, Attribute> } {
  const { scanner } = context;
  const attributes = new Set<string>();
  const defaults = new Map<string, Attribute>();
  if (!scanner.matches("<")) return { attributes: [...attributes], defaults };
  readList(scanner, ">", () => {
    const { at } = scanner;
    const name = readName(context, "the name of an attribute");
    if (attributes.has(name) || defaults.has(name)) {
      throw textErrors.E_TEXT_REDEFINED(scanner.place(at), "attribute", name);
    }
    const hasDefault = scanner.peek() === ":" || scanner.peek() === "=";
    if (hasDefault)
      defaults.set(name, readAttribute(context, undefined, directive.attributes?.get(name) ?? {}));
    else attributes.add(name);
    scanner.rejectDirective();
  });
  return { attributes: [...attributes], defaults };
}
