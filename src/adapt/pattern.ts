/** Regular expressions as PEFT's configurations hold them: in the notation of Python's `re`. */

/** What JavaScript writes in another way. */
const spellings: readonly (readonly [python: RegExp, ours: string])[] = [
  [/\(\?P</g, "(?<"],
  [/\(\?P=(\w+)\)/g, "\\k<$1>"],
  [/\\A/g, "^"],
  [/\\Z/g, "$"],
];

/** Flags at the start, such as `(?i)`, hold for the whole expression. */
const leadingFlags = /^\(\?([ims]+)\)/;

/**
 * Compiles an expression that stands at `{}` in `frame`.
 *
 * @throws SyntaxError where it is none; {@link isPattern} tells beforehand.
 */
export function compilePattern(source: string, frame: string): RegExp {
  const flags = leadingFlags.exec(source)?.[1] ?? "";
  const rest = source.replace(leadingFlags, "");
  const spelled = spellings.reduce((text, [python, ours]) => text.replace(python, ours), rest);
  return new RegExp(
    frame.replace("{}", () => spelled),
    flags,
  );
}

/** Whether a text is a regular expression. */
export function isPattern(source: string): boolean {
  try {
    compilePattern(source, "^(?:{})$");
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** Python's `re.fullmatch`. */
export function fullMatch(pattern: string, text: string): boolean {
  return compilePattern(pattern, "^(?:{})$").test(text);
}
