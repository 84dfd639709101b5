import { readFileSync, statSync } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import { OptionsError } from '../../index.ts';

/** Most bytes of a file. */
const maxBytes = 1_048_576;

/** `NAME="value"`, in quotes of any kind, which may span lines. */
const quoted =
  /[^\S\n]*(?:export[^\S\n]+)?([A-Za-z_][\w.-]*)[^\S\n]*=[^\S\n]*(?:"([^"]*)"|'([^']*)'|`([^`]*)`)[^\S\n]*(?:#[^\n]*)?(?:\n|$)/y;

/** `NAME=value`, or a name alone, which sets nothing. */
const plain = /^(?:export\s+)?([A-Za-z_][\w.-]*)\s*(?:=(.*))?$/;

/**
 * The variables of a `.env` file; none when there is no such file.
 *
 * Read as docker compose and python-dotenv do: a `#` begins a comment only behind white space, since passwords hold it.
 * The parser of Node 20 (util.parseEnv) cuts a value at any `#`, takes a byte order mark or a tab for a part of the name, and
 * loses the line behind one that it cannot read. Such a line is an `OptionsError` here, which says its number and nothing of it.
 */
export function readEnvFile(path: string): Readonly<Record<string, string>> {
  let bytes: Buffer;
  try {
    // Something else was meant by a larger one.
    if (statSync(path).size > maxBytes) throw new OptionsError(`.env is larger than ${maxBytes} bytes: remove it`);
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof OptionsError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return {};
    throw new OptionsError(`.env cannot be read (${code ?? 'not a text file'}): make it readable, or remove it`);
  }
  return parse(decode(bytes));
}

function decode(bytes: Buffer): string {
  // UTF-16 and UTF-32 write each letter of a name with a zero byte.
  if (bytes.includes(0)) throw new OptionsError('.env is saved as UTF-16, or holds zero bytes: save it as UTF-8');
  if (!isUtf8(bytes)) throw new OptionsError('.env is not saved as UTF-8: save it as UTF-8');
  // A file that was put together from several may have a byte order mark before each of them.
  return bytes
    .toString('utf8')
    .replace(/\r\n?/g, '\n')
    .replace(/^\uFEFF/gm, '');
}

function parse(text: string): Readonly<Record<string, string>> {
  const variables = new Map<string, string>();
  for (let start = 0; start < text.length;) {
    quoted.lastIndex = start;
    const match = quoted.exec(text);
    if (match === null) {
      const end = text.indexOf('\n', start);
      const next = end === -1 ? text.length : end + 1;
      readPlain(text.slice(start, next).trim(), () => text.slice(0, start).split('\n').length, variables);
      start = next;
    } else {
      const [, name = '', double, single, back] = match;
      variables.set(name, double?.replaceAll('\\n', '\n') ?? single ?? back ?? '');
      start = quoted.lastIndex;
    }
  }
  return Object.fromEntries(variables);
}

function readPlain(line: string, number: () => number, variables: Map<string, string>): void {
  if (line === '' || line.startsWith('#')) return;
  const [, name, value] = plain.exec(line) ?? [];
  if (name === undefined) throw new OptionsError(`.env: line ${number()} is not NAME=value: correct or remove it`);
  if (value === undefined) return;
  const read = value.replace(/\s#.*$/, '').trim();
  if (/^["'`]/.test(read)) {
    throw new OptionsError(`.env: line ${number()}: the value of ${name} begins with a quote and does not end with it`);
  }
  variables.set(name, read);
}
