const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{}:,]|[^\s"[\]{}:,]+/g;

/**
 * The numbers of some fields of a JSON object, digit by digit as they are written; `text` must be valid JSON. Reads no further
 * than tokens, in linear time and however deep the rest is nested. As for `JSON.parse`, the last of equal names counts.
 */
export function numbersIn(text: string, names: readonly string[]): Readonly<Record<string, string>> {
  const numbers = new Map<string, string>();
  let depth = 0;
  let name: string | undefined;
  let before = '';
  for (const [each] of text.matchAll(token)) {
    if (each === '{' || each === '[') depth += 1;
    else if (each === '}' || each === ']') depth -= 1;
    else if (depth === 1 && before === ':') {
      if (name !== undefined && /^[-\d]/.test(each)) numbers.set(name, each);
    } else if (depth === 1 && each.startsWith('"')) {
      const field = JSON.parse(each) as string;
      name = names.includes(field) ? field : undefined;
    }
    before = each;
  }
  return Object.fromEntries(numbers);
}
