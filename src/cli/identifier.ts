/** Names in kebab case, and the identifiers that they become in code. */

/** Reserved words of ECMAScript modules that could be file names. */
const reservedWords = new Set(
  (
    "await break case catch class const continue debugger default delete do else enum export extends false " +
    "finally for function if implements import in instanceof interface let new null package private protected " +
    "public return static super switch this throw true try typeof var void while with yield"
  ).split(" "),
);

/** `layer-norm` becomes `layerNorm`; undefined where the name is not kebab-case, or comes to a reserved word. */
export function identifierOf(name: string): string | undefined {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) return undefined;
  const identifier = name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return reservedWords.has(identifier) ? undefined : identifier;
}
