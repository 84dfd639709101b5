/** Most values in an answer: 16 MiB of `{},{},` would become 370 MB. */
const maxValues = 2_000_000;

/** What stands before a value, or between two: a comma, a bracket, a brace. */
const signs: ReadonlySet<number> = new Set([',', '[', '{'].map((sign) => sign.charCodeAt(0)));

/** Whether a text of JSON would become too much; signs in its strings count, too. */
export function hasTooManyValues(text: string): boolean {
  // A text as short as that has fewer.
  if (text.length <= maxValues) return false;
  let values = 0;
  for (let index = 0; index < text.length; index++) if (signs.has(text.charCodeAt(index))) values += 1;
  return values > maxValues;
}
