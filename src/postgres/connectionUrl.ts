import { readFileSync } from 'node:fs';
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
  readonly tls: 'disable' | 'prefer' | 'require' | 'no-verify' | ConnectionOptions | undefined;
}

const tlsModes = ['disable', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'] as const;
const tlsFiles = { ca: 'sslrootcert', cert: 'sslcert', key: 'sslkey' } as const;
const parameterNames = ['application_name', 'sslmode', ...Object.values(tlsFiles)];

const shape = /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([\w.\-:,[\]]+)(?:\/([^/?#]*))?(?:\?(.*))?$/u;

/**
 * Reads a connection URL.
 *
 * Throws an `OptionsError` that never quotes it: where a special character is not encoded, nobody can tell which part is the
 * password. The parser of @databases/pg quotes such parts, prints warnings and knows no IPv6 address, so it is not used.
 */
export function readConnectionUrl(url: string, owner: string): ConnectionUrl {
  const match = shape.exec(url);
  if (match === null) throw malformed(owner);
  const [user, password, database] = [match[1], match[2], match[4]].map((part) => decode(part, owner));
  const addresses = (match[3] ?? '').split(',').map((address) => readAddress(address, owner));
  const parameters = readParameters(match[5] ?? '', owner);
  return {
    server: {
      host: addresses.map(({ host, port }) => `${host}:${port}`).join(','),
      database: database ?? user ?? '(default)',
      user: user ?? '(default)',
    },
    hosts: addresses.map(({ host }) => host.replace(/^\[(.*)\]$/, '$1')),
    ports: addresses.map(({ port }) => port),
    user,
    password,
    database: database ?? user,
    applicationName: parameters.get('application_name'),
    tls: readTls(parameters, owner),
  };
}

function malformed(owner: string): OptionsError {
  return new OptionsError(
    `${owner}: url: expected postgres://user:password@host:port/database, got a value that is not shown because it may ` +
      'hold a password; characters such as @ : / ? # in the user name or password must be percent-encoded',
  );
}

/** An empty part is one left out. */
function decode(text: string | undefined, owner: string): string | undefined {
  try {
    return text === undefined || text === '' ? undefined : decodeURIComponent(text);
  } catch {
    throw malformed(owner);
  }
}

function readAddress(address: string, owner: string): { host: string; port: number } {
  const [, host, port = '5432'] = /^(\[[\w:.%]+\]|[\w.-]+)(?::(\w+))?$/.exec(address) ?? [];
  if (host === undefined) throw malformed(owner);
  const number = Number(port);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return { host, port: number };
  throw new OptionsError(`${owner}: url: expected a port from 1 to 65535, got "${port}"`);
}

function readParameters(query: string, owner: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((part) => part !== '')) {
    const [key = '', value = ''] = part.split('=').map((text) => decode(text, owner));
    if (!parameterNames.includes(key)) {
      throw new OptionsError(
        `${owner}: url: parameter "${key}" is not supported; remove it (supported: ${parameterNames.join(', ')})`,
      );
    }
    parameters.set(key, value);
  }
  return parameters;
}

/**
 * @databases/pg 6.1 (index.js, getSSLConfig) accepts any certificate under sslmode=verify-full unless a file is named: the
 * modes that verify, and those with files, get their options here.
 */
function readTls(parameters: ReadonlyMap<string, string>, owner: string): ConnectionUrl['tls'] {
  const text = parameters.get('sslmode');
  const mode = text === undefined ? undefined : tlsModes.find((mode) => mode === text);
  if (text !== mode) {
    throw new OptionsError(`${owner}: url: expected sslmode to be one of ${tlsModes.join(', ')}, got "${text ?? ''}"`);
  }
  const files: ConnectionOptions = {};
  for (const [option, parameter] of Object.entries(tlsFiles)) {
    const path = parameters.get(parameter);
    if (path !== undefined) files[option as keyof typeof tlsFiles] = readFile(path, parameter, owner);
  }
  if (mode === 'verify-full') return { ...files, rejectUnauthorized: true };
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
