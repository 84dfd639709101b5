import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { OptionsError } from '../model/errors.ts';

/** What of a connection URL may be shown: everything but the password. */
export interface ServerName {
  /** `host:port`, as written. */
  readonly host: string;
  readonly database: string;
  readonly user: string;
}

/** A connection URL in its parts; what it leaves out, @databases/pg takes from libpq's variables, such as PGUSER. */
export interface ConnectionUrl {
  readonly server: ServerName;
  readonly hosts: string[];
  readonly ports: number[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly applicationName: string | undefined;
  readonly connectTimeoutMs: number | undefined;
  /** False behind a pooler that says so of itself: `pgbouncer=true`. */
  readonly preparedStatements: boolean | undefined;
  readonly tls: 'disable' | 'prefer' | 'require' | 'no-verify' | ConnectionOptions | undefined;
}

const tlsModes = ['disable', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'] as const;
const systemAuthorities = 'system';
const tlsFiles = { ca: 'sslrootcert', cert: 'sslcert', key: 'sslkey' } as const;

/** Those that a connection has anyway: what they may say, and why nothing else. */
const givenParameters: Readonly<Record<string, { readonly values: readonly string[]; readonly advice: string }>> = {
  channel_binding: {
    values: ['prefer', 'disable'],
    advice: 'the driver does not bind channels; sslmode=verify-full keeps others from standing in for the server, too',
  },
  target_session_attrs: {
    values: ['any', 'read-write', 'primary'],
    advice: 'everything needs a server that can be written to',
  },
};

const parameterNames = [
  'application_name',
  'connect_timeout',
  'pgbouncer',
  'sslmode',
  ...Object.values(tlsFiles),
  ...Object.keys(givenParameters),
];

/** No `@` behind that of the login: where there is one, it may stand in the middle of a password. */
const shape =
  /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^@/?#\s]+)(?:\/([^@/?#]*)\/?)?(?:\?([^@#]*))?$/iu;

/**
 * Reads a connection URL; white space and quotes around it, which files and shells leave there, are none of it.
 *
 * Throws an `OptionsError` that never quotes it: where a special character is not encoded, nobody can tell which part is the
 * password. The parser of @databases/pg quotes such parts, prints warnings and knows no IPv6 address, so it is not used.
 */
export function readConnectionUrl(text: string, owner: string): ConnectionUrl {
  const url = bareUrl(text);
  const match = /[\r\n\0]/.test(url) ? null : shape.exec(url);
  if (match === null) throw malformed(url, owner);
  const [user, password, database] = [match[1], match[2], match[4]].map((part) => decode(part, owner));
  const hasLogin = match[1] !== undefined;
  const addresses = (match[3] ?? '').split(',').map((address) => readAddress(address, hasLogin, owner));
  const parameters = readParameters(match[5] ?? '', owner);
  const isLocal = addresses.every(({ host }) => host.startsWith('/'));
  return {
    server: {
      host: addresses.map(({ host, port }) => `${isIPv6(host) ? `[${host}]` : host}:${port}`).join(','),
      database: database ?? user ?? '(default)',
      user: user ?? '(default)',
    },
    hosts: addresses.map(({ host }) => host),
    ports: addresses.map(({ port }) => port),
    user,
    password,
    database: database ?? user,
    applicationName: parameters.get('application_name'),
    connectTimeoutMs: readTimeout(parameters.get('connect_timeout'), owner),
    preparedStatements: readPgbouncer(parameters.get('pgbouncer'), owner),
    // As in libpq: there is no TLS on a socket of this machine.
    tls: isLocal ? 'disable' : readTls(parameters, owner),
  };
}

/** A URL without the white space and the quotes around it. */
function bareUrl(text: string): string {
  const trimmed = text.trim();
  return /^(["'`])(.*)\1$/s.exec(trimmed)?.[2]?.trim() ?? trimmed;
}

function malformed(url: string, owner: string): OptionsError {
  const hidden = 'a value that is not shown because it may hold a password';
  return new OptionsError(
    `${owner}: url: expected postgres://user:password@host:port/database, got ${hidden}; ${fault(url)}`,
  );
}

/** What is wrong with a URL, as far as that can be said without quoting what may be a password. */
function fault(url: string): string {
  if (url === '') return 'it is empty';
  if (/[\r\n\0]/.test(url)) return 'there is a line break or a zero byte in it';
  if (/^jdbc:/i.test(url)) return 'it begins with jdbc: as that of Java does, which is to be left out';
  if (/^postgres(ql)?:\/\/([^@/?#]*@)?([/?]|$)/i.test(url)) {
    return 'it names no host (the folder of a socket is encoded: %2Fvar%2Frun%2Fpostgresql)';
  }
  return 'characters such as @ : / ? # in the user name or password must be percent-encoded';
}

/** An empty part is one left out. */
function decode(text: string | undefined, owner: string): string | undefined {
  try {
    return text === undefined || text === '' ? undefined : decodeURIComponent(text);
  } catch {
    throw new OptionsError(
      `${owner}: url: there is a % that encodes nothing; write %25 for a percent sign (its value is not shown)`,
    );
  }
}

/** The address is shown only where it stands behind a login: else it may be one, whose host was forgotten. */
function readAddress(address: string, hasLogin: boolean, owner: string): { host: string; port: number } {
  const refused = (what: string): OptionsError => new OptionsError(`${owner}: url: ${what}`);
  const [, bracketed, plain = '', port = '5432'] = /^(?:\[([^[\]]+)\]|([^:[\]]+))(?::([^:]*))?$/.exec(address) ?? [];
  const host = decode(bracketed ?? plain, owner) ?? '';
  if (address === '') throw refused('a host is missing beside a comma');
  if (host === '') throw refused('expected host:port, with an IPv6 address in brackets, such as [::1]:5432');
  if (bracketed !== undefined && !isIPv6(host)) throw refused('expected an IPv6 address in the brackets');
  if (bracketed === undefined && !/^(\/.*|[\p{L}\p{N}_.-]+)$/u.test(host)) {
    throw refused('expected the name or address of a host, which has neither spaces nor special characters');
  }
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number >= 1 && number <= 65_535) return { host, port: number };
  throw refused(
    `expected a port from 1 to 65535, got ${hasLogin && port.length <= 20 ? `"${port}"` : 'one that is not shown'}`,
  );
}

function readParameters(query: string, owner: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((part) => part !== '')) {
    const split = part.includes('=') ? part.indexOf('=') : part.length;
    const key = decode(part.slice(0, split), owner) ?? '';
    const value = decode(part.slice(split + 1), owner) ?? '';
    if (!parameterNames.includes(key)) {
      throw new OptionsError(
        `${owner}: url: parameter "${key.slice(0, 60)}" is not supported; remove it (supported: ${parameterNames.join(', ')})`,
      );
    }
    if (parameters.has(key)) throw new OptionsError(`${owner}: url: parameter "${key}" is given twice`);
    const { values, advice } = givenParameters[key] ?? {};
    if (values?.includes(value) === false) {
      throw new OptionsError(
        `${owner}: url: parameter "${key}" is not supported; remove it (but for ${values.join(', ')}): ${advice}`,
      );
    }
    parameters.set(key, value);
  }
  return parameters;
}

/** As in libpq in seconds; its 0, for ever, would keep a worker from ever telling that the server is unavailable. */
function readTimeout(text: string | undefined, owner: string): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds * 1000;
  throw new OptionsError(
    `${owner}: url: expected connect_timeout to be whole seconds from 1, got "${text.slice(0, 40)}"`,
  );
}

function readPgbouncer(text: string | undefined, owner: string): boolean | undefined {
  if (text === undefined || text === 'false') return undefined;
  if (text === 'true') return false;
  throw new OptionsError(`${owner}: url: expected pgbouncer to be true or false, got "${text.slice(0, 40)}"`);
}

/**
 * @databases/pg 6.1 (index.js, getSSLConfig) accepts any certificate under sslmode=verify-full unless a file is named: the
 * modes that verify, and those with files, get their options here.
 */
function readTls(parameters: ReadonlyMap<string, string>, owner: string): ConnectionUrl['tls'] {
  const text = parameters.get('sslmode');
  const mode = text === undefined ? undefined : tlsModes.find((mode) => mode === text);
  if (text !== mode) {
    throw new OptionsError(
      `${owner}: url: expected sslmode to be one of ${tlsModes.join(', ')}, got "${(text ?? '').slice(0, 40)}"`,
    );
  }
  const files: ConnectionOptions = {};
  for (const [option, parameter] of Object.entries(tlsFiles)) {
    const path = parameters.get(parameter);
    // The authorities that Node.js knows, as `system` says, are those of a connection without a file.
    if (path !== undefined && path !== systemAuthorities)
      files[option as keyof typeof tlsFiles] = readFile(path, parameter, owner);
  }
  if (mode === 'verify-full' || parameters.get('sslrootcert') === systemAuthorities)
    return { ...files, rejectUnauthorized: true };
  // As in libpq, naming the authority means that the certificate is checked against it.
  const checksAuthority = mode === 'verify-ca' || files.ca !== undefined;
  if (checksAuthority) return { ...files, rejectUnauthorized: true, checkServerIdentity: () => undefined };
  return files.cert === undefined && files.key === undefined ? mode : { ...files, rejectUnauthorized: false };
}

function readFile(path: string, parameter: string, owner: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new OptionsError(`${owner}: url: cannot read the file of ${parameter}, "${path}"`, { cause });
  }
}
