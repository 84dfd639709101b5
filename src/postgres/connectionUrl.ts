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

/** A connection URL, checked. */
export interface ConnectionUrl extends ServerName {
  /** The TLS settings for a server whose certificate is to be verified; undefined leaves them to `sslmode`. */
  readonly verifiedTls?: ConnectionOptions | undefined;
}

/** The parameters that @databases/pg-connection-string knows and @databases/pg acts on; it prints a warning on others. */
const supportedParameters = [
  'application_name',
  'fallback_application_name',
  'ssl',
  'sslmode',
  'sslcert',
  'sslkey',
  'sslrootcert',
];
const sslModes = ['disable', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'];

const shape = /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([\w.\-:,[\]%]+)(?:\/([^/?#]*))?(?:\?(.*))?$/u;

/**
 * Checks a connection URL and takes from it what may be shown.
 *
 * Throws an `OptionsError` that never quotes the URL: where a special character is not encoded, nobody can tell which
 * part of it is the password.
 */
export function readConnectionUrl(url: string, owner: string): ConnectionUrl {
  const match = shape.exec(url);
  if (match === null) throw malformed(owner);
  const [, user, password, host = '', database, query = ''] = match;
  decode(password, owner);
  const parameters = readParameters(query, owner);
  const name = decode(user, owner) || '(the default user)';
  return {
    host: withPort(host, owner),
    user: name,
    database: decode(database, owner) || name,
    verifiedTls: verifiedTls(parameters, owner),
  };
}

function malformed(owner: string): OptionsError {
  return new OptionsError(
    `${owner}: url: expected postgres://user:password@host:port/database, got a value that is not shown because it may ` +
      'hold a password; characters such as @ : / ? # in the user name or password must be percent-encoded',
  );
}

function decode(text: string | undefined, owner: string): string {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    throw malformed(owner);
  }
}

function withPort(hosts: string, owner: string): string {
  const [, port] = /:(\w+)$/.exec(hosts) ?? [];
  if (port === undefined) return `${hosts}:5432`;
  const number = Number(port);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return hosts;
  throw new OptionsError(`${owner}: url: expected a port from 1 to 65535, got "${port}"`);
}

function readParameters(query: string, owner: string): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query.split('&').filter((part) => part !== '')) {
    const [key = '', value = ''] = part.split('=').map((text) => decode(text, owner));
    if (!supportedParameters.includes(key)) {
      throw new OptionsError(
        `${owner}: url: parameter "${key}" is not supported; remove it (supported: ${supportedParameters.join(', ')})`,
      );
    }
    if (key === 'sslmode' && !sslModes.includes(value)) {
      throw new OptionsError(`${owner}: url: expected sslmode to be one of ${sslModes.join(', ')}, got "${value}"`);
    }
    parameters.set(key, value);
  }
  return parameters;
}

/** @databases/pg 6.1 (index.js, getSSLConfig) accepts any certificate under sslmode=verify-full unless a file is named. */
function verifiedTls(parameters: ReadonlyMap<string, string>, owner: string): ConnectionOptions | undefined {
  if (parameters.get('sslmode')?.startsWith('verify-') !== true) return undefined;
  return {
    rejectUnauthorized: true,
    ca: readFile(parameters, 'sslrootcert', owner),
    cert: readFile(parameters, 'sslcert', owner),
    key: readFile(parameters, 'sslkey', owner),
    ...(parameters.get('sslmode') === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function readFile(parameters: ReadonlyMap<string, string>, name: string, owner: string): string | undefined {
  const path = parameters.get(name);
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new OptionsError(`${owner}: url: cannot read the file of ${name}, "${path}"`, { cause });
  }
}
