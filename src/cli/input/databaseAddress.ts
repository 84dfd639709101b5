import { isIPv6 } from 'node:net';
import { OptionsError } from '../../index.ts';
import { unquoted } from './unquoted.ts';

/**
 * DATABASE_HOST as it stands in a URL: a name, an IPv4 or IPv6 address, several of them with commas, each with a port of its own
 * or that of DATABASE_PORT; or the folder of a socket. Throws an `OptionsError` that does not show it.
 */
export function databaseAddress(variable: string, givenPort: number | undefined): string {
  const text = unquoted(variable);
  if (text.includes('://')) throw refused('is a URL: that goes into DATABASE_URL');
  if (text.startsWith('/')) return `${encodeURIComponent(text)}:${givenPort ?? 5432}`;
  return text
    .split(',')
    .map((each) => hostWithPort(each.trim(), givenPort))
    .join(',');
}

function hostWithPort(text: string, givenPort: number | undefined): string {
  if (isIPv6(text)) return `[${encodeURIComponent(text)}]:${givenPort ?? 5432}`;
  const [, bracketed = '', plain = '', port] =
    /^(?:\[([^[\]]+)\]|([\p{L}\p{N}_.-]+))(?::(\d{1,5}))?$/u.exec(text) ?? [];
  if (plain === '' && !isIPv6(bracketed)) {
    throw refused(
      'must be a name, an address or the folder of a socket, such as db, 10.0.0.1, ::1 or /var/run/postgresql',
    );
  }
  if (port !== undefined && givenPort !== undefined && Number(port) !== givenPort) {
    throw refused(`names port ${port}, and DATABASE_PORT ${givenPort}: leave one of them out`);
  }
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    throw refused(`names port ${port}: expected one from 1 to 65535`);
  }
  return `${plain === '' ? `[${encodeURIComponent(bracketed)}]` : plain}:${port ?? givenPort ?? 5432}`;
}

function refused(what: string): OptionsError {
  return new OptionsError(`DATABASE_HOST ${what}; its value is not shown`);
}
