import { isIPv6 } from 'node:net';
import { unquoted } from './unquoted.ts';

/** The addresses of a list with commas; or what is wrong with it, in words that show nothing of it. */
export function brokerAddresses(text: string): readonly string[] | { readonly problem: string } {
  const addresses = unquoted(text)
    .split(',')
    .map((address) => address.trim())
    // As in Java's client: a comma too many names nobody.
    .filter((address) => address !== '');
  if (addresses.length === 0) return { problem: 'it names none' };
  for (const address of addresses) {
    const problem = problemOf(address);
    if (problem !== undefined) return { problem };
  }
  return addresses;
}

function problemOf(address: string): string | undefined {
  if (address.includes('://')) {
    return 'an address has no scheme such as PLAINTEXT:// before it; TLS is what KAFKA_SSL says';
  }
  if (address.includes('@'))
    return 'an address has no login in it, which KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD hold';
  if (isIPv6(address)) return 'an IPv6 address stands in brackets and has a port, such as [::1]:9092';
  const [, bracketed, host = '', port] = /^(?:\[([^[\]]*)\]|([^[\]:]*))(?::(.*))?$/.exec(address) ?? [];
  if (bracketed === undefined ? !/^[\p{L}\p{N}_.-]+$/u.test(host) : !isIPv6(bracketed)) {
    return 'an address is the name of a host, an IPv4 address or an IPv6 address in brackets, and a port';
  }
  if (port === undefined) return 'an address needs its port, which is mostly 9092';
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  return number >= 1 && number <= 65_535 ? undefined : 'a port is a number from 1 to 65535';
}
