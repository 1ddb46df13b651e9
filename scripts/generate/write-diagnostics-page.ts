/** Generates `docs/diagnostics.md`: every error with its code, what it says, and what to do about it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ts } from "ts-morph";
import { emitGenerated, listStems, repository } from "../generated-files.ts";

const folder = "src/diagnostics";

interface Row {
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

const introduction = `# Diagnostics

Whatever is wrong with an input is reported with a stable code, the place, what was expected, what was found, and what to
do next; \`--json\` gives the same fields. Parts in ‹ › are filled in. Messages that start with \`internal:\` are bugs of
peft-compile.

This page is generated from the catalogs in [src/diagnostics](../src/diagnostics) by \`npm run generate\`.
`;

const sections = listStems(folder)
  .filter((stem) => stem !== "define")
  .map((stem) => describeCatalog(`${folder}/${stem}.ts`));
emitGenerated([{ path: "docs/diagnostics.md", text: [introduction, ...sections].join("\n") }]);

function describeCatalog(path: string): string {
  const text = readFileSync(join(repository, path), "utf8");
  const title = /^\/\*\* Diagnostics of (.*?)\.? \*\//s.exec(text)?.[1]?.replace(/\s*\n \* ?/g, " ");
  if (title === undefined) throw new Error(`${path}: open with "/** Diagnostics of ... */"`);
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const rows = catalogEntries(source).sort((a, b) => (a.code < b.code ? -1 : 1));
  if (rows.length === 0) throw new Error(`${path}: no call of defineDiagnostics with a table was found`);
  return [
    `## ${title.charAt(0).toUpperCase()}${title.slice(1)}`,
    "",
    "| code | says | what to do |",
    "| --- | --- | --- |",
    ...rows.map(({ code, message, next }) => `| \`${code}\` | ${cell(message)} | ${cell(next)} |`),
    "",
  ].join("\n");
}

/** The entries of every `defineDiagnostics({ CODE: (...) => ({ ... }) })` of a file. */
function catalogEntries(source: ts.SourceFile): Row[] {
  const rows: Row[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && node.expression.getText() === "defineDiagnostics") {
      const [table] = node.arguments;
      if (table !== undefined && ts.isObjectLiteralExpression(table))
        rows.push(...table.properties.map(entryOf));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return rows;
}

function entryOf(property: ts.ObjectLiteralElementLike): Row {
  const code = property.name?.getText() ?? "";
  const wording = findWording(property);
  const part = (name: string): string => {
    const field = wording?.properties.find((each) => each.name?.getText() === name);
    if (field === undefined) return "";
    return ts.isPropertyAssignment(field) ? spell(field.initializer) : `‹${name}›`;
  };
  if (wording === undefined) throw new Error(`${code}: its wording is not an object literal`);
  return { code, message: part("message"), next: part("next") };
}

/** The first object literal with a message below a node: what the wording function returns. */
function findWording(node: ts.Node): ts.ObjectLiteralExpression | undefined {
  if (
    ts.isObjectLiteralExpression(node) &&
    node.properties.some((each) => each.name?.getText() === "message")
  ) {
    return node;
  }
  return ts.forEachChild(node, findWording);
}

/** An expression as people read it: text as it is, values by their names, choices side by side. */
function spell(expression: ts.Expression): string {
  if (ts.isStringLiteralLike(expression)) return expression.text;
  if (ts.isTemplateExpression(expression)) {
    const spans = expression.templateSpans.map((span) => spell(span.expression) + span.literal.text);
    return expression.head.text + spans.join("");
  }
  if (ts.isConditionalExpression(expression)) {
    return [expression.whenTrue, expression.whenFalse].map(spell).filter(Boolean).join(" / ");
  }
  if (ts.isBinaryExpression(expression) && [expression.left, expression.right].some(isText)) {
    return spell(expression.left) + spell(expression.right);
  }
  if (ts.isParenthesizedExpression(expression)) return spell(expression.expression);
  return `‹${firstName(expression)}›`;
}

function isText(expression: ts.Expression): boolean {
  return ts.isStringLiteralLike(expression) || ts.isTemplateExpression(expression);
}

/** The name that stands for a computed part: that of the value it is computed from. */
function firstName(node: ts.Node): string {
  if (ts.isIdentifier(node)) return node.text;
  // `listed(names)` is about its argument, `names.join(" or ")` about what comes before the dot.
  const parts = ts.isCallExpression(node) ? [...node.arguments, node.expression] : node.getChildren();
  for (const part of parts) {
    const name = firstName(part);
    if (name !== "") return name;
  }
  return "";
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}
