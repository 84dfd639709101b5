import { z } from 'zod';
import { OptionsError } from '../../model/errors.ts';

/**
 * The base URL of a host as the deployment's environment names it: `https://` before it, unless it already begins with
 * `http://` or `https://`. Throws an `OptionsError` for what is no host; the message does not show it.
 *
 * @example
 * ```ts
 * import { hostToBaseUrl } from 'fintrack-pipelines';
 *
 * console.log(hostToBaseUrl('api.twelvedata.com'));
 * // https://api.twelvedata.com
 * console.log(hostToBaseUrl('http://127.0.0.1:8080/'));
 * // http://127.0.0.1:8080
 * ```
 */
export function hostToBaseUrl(host: string): string {
  const text = z.string().safeParse(host).data ?? '';
  const baseUrl = (/^https?:\/\//i.test(text) ? text : `https://${text}`).replace(/\/+$/, '');
  if (!isBaseUrl(baseUrl)) {
    throw new OptionsError('host: expected a host name or a http(s) URL without user, query and fragment');
  }
  return baseUrl;
}

/** A check for an option that is a base URL. `fetch` would print a user and password in its error, so they are refused. */
export const baseUrlCheck = z
  .string()
  .refine(isBaseUrl, { error: 'expected a http(s) URL without user, query and fragment' });

/** A check for an API key: what a header can carry, because `fetch` prints any other value in its error. */
export const apiKeyCheck = z
  .string()
  .regex(/^[\x21-\x7e]+$/, { error: 'expected visible ASCII characters without spaces' });

/** Base URL and path, with one slash between them. */
export function endpointUrl(baseUrl: string, path: string): string {
  return `${baseUrl.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`;
}

function isBaseUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return /^https?:$/.test(protocol) && username + password + search + hash === '';
}
