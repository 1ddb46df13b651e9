/** Reads nodes: `[label] results = domain.Op:overload <attributes> (operands)`, attributes before or after operands. */
import { textErrors } from "../diagnostics/text.ts";
import type { Attribute } from "../ir/attribute.ts";
import { Node } from "../ir/node.ts";
import { Value } from "../ir/value.ts";
import type { Directive, ValueFacts } from "./directive.ts";
import { readAttribute } from "./parse-attribute.ts";
import { type ParseContext, readBareName, readList, readName, type Scope } from "./parse-context.ts";
import { readTypeComment } from "./parse-type.ts";

/** Consumes a node and defines its results in `scope`. */
export function readNode(context: ParseContext, scope: Scope): Node {
  const { scanner } = context;
  const directive = scanner.takeDirective("node");
  const label = readLabel(context);
  const { at } = scanner;
  const results = readOptionalNames(context, "=");
  scanner.expect("=");
  const { domain, op } = readOperator(context);
  const overload = scanner.matches(":") ? readBareName(context, "an overload") : "";
  const before = scanner.matches("<") ? readAttributes(context, scope, directive) : [];
  scanner.expect("(");
  const operands = readOptionalNames(context, ")");
  scanner.expect(")");
  const after = before.length === 0 && scanner.matches("<") ? readAttributes(context, scope, directive) : [];

  const outputs = results.map(({ name }) => (name === "" ? null : new Value({ name })));
  const node = new Node({
    op,
    domain,
    overload,
    name: label,
    inputs: operands.map((operand) =>
      operand.name === "" ? null : scope.resolve(operand.name, operand.at, scanner),
    ),
    attributes: Object.fromEntries([...before, ...after]),
    outputs,
  });
  for (const output of outputs) {
    if (output === null || scope.define(output.name, output)) continue;
    throw textErrors.E_TEXT_REDEFINED(scanner.place(at), "value", output.name);
  }
  node.docString = directive.doc ?? "";
  for (const [key, value] of directive.metadata ?? []) node.metadata.set(key, value);
  applyValueFacts(context, node, directive.values, at);
  readResultTypes(context, node, at);
  return node;
}

function readLabel(context: ParseContext): string {
  const { scanner } = context;
  if (!scanner.matches("[")) return "";
  const label = scanner.peek() === "]" ? "" : readName(context, "the name of a node");
  scanner.expect("]");
  return label;
}

/** Names with commas between, "" for those left out: quoted as such, or nothing before a comma. */
function readOptionalNames(
  context: ParseContext,
  close: string,
): { readonly name: string; readonly at: number }[] {
  const { scanner } = context;
  const names: { readonly name: string; readonly at: number }[] = [];
  while (scanner.peek() !== close) {
    const { at } = scanner;
    names.push({ name: scanner.peek() === "," ? "" : readName(context, `a name or "${close}"`), at });
    if (!scanner.matches(",")) break;
  }
  return names;
}

function readOperator(context: ParseContext): { readonly domain: string; readonly op: string } {
  const { scanner } = context;
  const parts = [scanner.identifier("an operator")];
  while (scanner.matches(".")) parts.push(scanner.identifier("an operator"));
  const op = restore(context, parts.pop() ?? "");
  const domain = restore(context, parts.join("."));
  return { domain: domain === "ai.onnx" ? "" : domain, op };
}

function restore({ aliases }: ParseContext, spelled: string): string {
  return aliases.get(spelled) ?? spelled;
}

function readAttributes(
  context: ParseContext,
  scope: Scope,
  { attributes }: Directive,
): (readonly [string, Attribute])[] {
  const { scanner } = context;
  const found = new Map<string, Attribute>();
  readList(scanner, ">", () => {
    const { at } = scanner;
    const name = readBareName(context, "the name of an attribute");
    if (found.has(name)) throw textErrors.E_TEXT_REDEFINED(scanner.place(at), "attribute", name);
    found.set(name, readAttribute(context, scope, attributes?.get(name) ?? {}));
    scanner.rejectDirective();
  });
  const stray = [...(attributes?.keys() ?? [])].find((name) => !found.has(name));
  if (stray === undefined) return [...found];
  throw textErrors.E_TEXT_DIRECTIVE(
    scanner.place(),
    `the node has no attribute "${stray}"`,
    [...found.keys()].join(", "),
  );
}

function applyValueFacts(
  context: ParseContext,
  node: Node,
  facts: ReadonlyMap<string, ValueFacts> | undefined,
  at: number,
): void {
  for (const [name, { doc, metadata }] of facts ?? []) {
    const value = node.outputs.find((output) => output?.name === name);
    if (value == null) {
      const { scanner } = context;
      throw textErrors.E_TEXT_DIRECTIVE(
        scanner.place(at),
        `the node has no result "${name}"`,
        "names of its results",
      );
    }
    value.docString = doc ?? "";
    for (const [key, text] of metadata ?? []) value.metadata.set(key, text);
  }
}

/** Takes the types of results from the comment on the node's last line. */
function readResultTypes({ scanner, aliases }: ParseContext, node: Node, at: number): void {
  const comment = scanner.trailingComment();
  const types = comment === undefined ? undefined : readTypeComment(comment, aliases);
  if (types === undefined) return;
  const { outputs } = node;
  if (types.length !== outputs.length) {
    throw textErrors.E_TEXT_RESULT_TYPES(scanner.place(at), outputs.length, types.length);
  }
  outputs.forEach((output, index) => {
    if (output !== null) output.type = types[index];
  });
}
