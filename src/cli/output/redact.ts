import type { Environment } from '../input/environment.ts';
import { proxySecrets } from '../input/proxyVariables.ts';
import { unquoted } from '../input/unquoted.ts';

const keyVariables = ['TWELVE_DATA_API_KEY', 'RAPIDAPI_KEY', 'MASSIVE_API_KEY', 'KAFKA_SASL_PASSWORD'];

/**
 * Makes a function that takes secrets out of a text: the API keys, and the URLs of databases and proxies with their
 * passwords, however encoded.
 *
 * The library puts none into its messages. This is the last line of defense, for what a server answers with. A secret that is
 * long, or looks like no word, is taken out wherever it stands. One that may be a word, as passwords of databases often are, only
 * where it is the secret: behind a word such as `password`, in a URL, or in quotes by itself. Else a password `data` would make a
 * riddle of every line, and give itself away.
 */
export function redactor(environment: Environment, databaseOption: string | undefined): (text: string) => string {
  const urls = [environment['DATABASE_URL'], databaseOption]
    .filter((url) => url !== undefined)
    .map(unquoted)
    .filter((url) => url.includes('://'));
  const passwords = urls.flatMap((url) => (passwordOf(url) === '' ? [] : [passwordOf(url), decoded(passwordOf(url))]));
  const words = new Set([environment['DATABASE_USER'], environment['DATABASE_NAME'], ...urls.flatMap(namesIn)]);
  const patterns = [
    // With what stands around it, whatever it is.
    ...[...urls, ...urls.map(passwordOf).map((password) => (password === '' ? '' : `:${password}@`))].map(anywhere),
    ...keyVariables.map((name) => (environment[name] ?? '').trim()).map((key) => patternOf(key, words, 8)),
    ...proxySecrets(environment).map((each) => patternOf(each, words, 8)),
    ...[environment['DATABASE_PASSWORD'] ?? '', ...passwords].map((each) => patternOf(each, words, Infinity)),
  ].filter((pattern) => pattern !== undefined);
  return (text) => patterns.reduce((safe, pattern) => safe.replace(pattern, '[hidden]'), text);
}

/** `longWord`: from how many letters on a secret that consists of nothing else is not taken for a word. */
function patternOf(secret: string, words: ReadonlySet<unknown>, longWord: number): RegExp | undefined {
  if (secret === '') return undefined;
  const isWord = /^[a-z_]+$/i.test(secret) && secret.length < longWord;
  const isNumber = /^\d+$/.test(secret);
  if (secret.length >= 8 && !isWord && !isNumber && !words.has(secret)) return anywhere(secret);
  // A number of few digits is a year, a port or a part of a price.
  const isDistinct = secret.length >= 4 && !isWord && !words.has(secret) && (!isNumber || secret.length >= 8);
  return new RegExp(isDistinct ? bounded(encodings(secret)) : inItsPlace(secret, words), 'giu');
}

function anywhere(secret: string): RegExp | undefined {
  return secret === '' ? undefined : new RegExp(encodings(secret), 'gu');
}

/** Not inside of a longer word, number or price. */
function bounded(pattern: string): string {
  return `(?<![\\p{L}\\p{N}_]|\\d\\.)(?:${pattern})(?![\\p{L}\\p{N}_]|\\.\\d)`;
}

const naming = 'password|passwd|pwd|pass|secret|token|bearer|authorization|api[-_ ]?key|key';

function inItsPlace(secret: string, words: ReadonlySet<unknown>): string {
  const pattern = encodings(secret);
  const places = [`(?<=(?:${naming})["'\\]]*\\s*[:=]?\\s*["']?)${bounded(pattern)}`, `(?<=:)(?:${pattern})(?=@)`];
  // Names of the user, the database and the like stand in quotes, too.
  if (secret.length >= 4 && !words.has(secret)) places.push(`(?<=["'])(?:${pattern})(?=\\\\*["'])`);
  return places.join('|');
}

/** A pattern of the secret in any encoding, of each character: as it is, in a URL, in JSON, or in JSON within JSON. */
function encodings(secret: string): string {
  return Array.from(secret, (character) => {
    const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
    const bytes = Buffer.from(character);
    return `(?:${[
      // First: a backslash of the secret would else be that of its own code.
      units.map((unit) => `\\\\+u${eitherCase(unit.toString(16).padStart(4, '0'))}`).join(''),
      Array.from(bytes, (byte) => `%${eitherCase(byte.toString(16).padStart(2, '0'))}`).join(''),
      `\\\\*${literal(character)}`,
      ...(character === ' ' ? ['\\+'] : []),
    ].join('|')})`;
  }).join('');
}

function literal(character: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(character) ? `\\${character}` : character;
}

function eitherCase(hex: string): string {
  return hex.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
}

/** As it stands in the URL; it may hold an `@` that should have been encoded. */
function passwordOf(url: string): string {
  return /^[\w:]+:\/\/[^:@/]*:(.+)@/.exec(url)?.[1] ?? '';
}

/** The user, host and database of a URL, each of them in sight. */
function namesIn(url: string): readonly string[] {
  const [, user = '', rest = ''] = /^[\w:]+:\/\/([^:@/]*)(?::.+)?@(.*)$/.exec(url) ?? [];
  return [user, ...rest.split(/[/:?,]/)].map(decoded).filter((name) => name !== '');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
