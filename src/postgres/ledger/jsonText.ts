/** Data link escape: no price and no symbol has it, and jsonb can store it. */
const escape = '\\u0010';

/** What `JSON.stringify` writes as `\uXXXX`, or two backslashes, so that the second is not taken for the start of one. */
const written = /\\(?:\\|u(0000|0010|d[89a-f][0-9a-f]{2}))/g;
const read = /\\(?:\\|u0010([0-9a-f]{4}))/g;

/**
 * JSON text that jsonb can store: it refuses NUL and lone surrogates (22P05), which arrive in symbols and therefore in
 * error messages. They are stored behind an escape character, and come back as they were through `fromStoredJson`.
 */
export function toStoredJson(value: unknown): string {
  const text = JSON.stringify(value);
  return text.includes('\\u')
    ? text.replace(written, (match, code: string | undefined) => (code === undefined ? match : `${escape}${code}`))
    : text;
}

/** The value back from the text of a jsonb column. */
export function fromStoredJson(text: string): unknown {
  return JSON.parse(
    text.includes(escape)
      ? text.replace(read, (match, code: string | undefined) => (code === undefined ? match : `\\u${code}`))
      : text,
  );
}
