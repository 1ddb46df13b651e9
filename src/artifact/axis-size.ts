/** The size of an axis from the text that a manifest has for it, such as `seq` or `floordiv(samples - 10, 5) + 1`. */

const operations: Readonly<Record<string, (left: number, right: number) => number>> = {
  floordiv: (left, right) => Math.floor(left / right),
  mod: (left, right) => left - right * Math.floor(left / right),
  max: Math.max,
  min: Math.min,
};

/**
 * Sums, products and operations of two parts, as `ir/dim.ts` prints them.
 *
 * @param sizeOf size of a named axis.
 * @returns undefined for text of another form.
 */
export function axisSize(text: string, sizeOf: (name: string) => number): number | undefined {
  const tokens = tokensOf(text);
  let at = 0;
  const take = (token: string): boolean => tokens[at] === token && ++at > 0;

  function sum(): number {
    let value = take("-") ? -product() : product();
    for (;;) {
      if (take("+")) value += product();
      else if (take("-")) value -= product();
      else return value;
    }
  }
  function product(): number {
    let value = factor();
    while (take("*")) value *= factor();
    return value;
  }
  function factor(): number {
    const token = tokens[at++] ?? "";
    if (/^\d+$/.test(token)) return Number(token);
    const operation = operations[token];
    if (operation === undefined || !take("(")) return isName(token) ? sizeOf(token) : Number.NaN;
    const left = sum();
    if (!take(",")) return Number.NaN;
    const right = sum();
    return take(")") ? operation(left, right) : Number.NaN;
  }

  const value = sum();
  return at === tokens.length && Number.isFinite(value) ? value : undefined;
}

function tokensOf(text: string): string[] {
  return text.match(/[^\s+*(),-]+|[+*(),-]/g) ?? [];
}

function isName(token: string): boolean {
  return !/^(\d+|[+*(),-])$/.test(token);
}
