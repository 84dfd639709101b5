import type { EnvHttpProxyAgent } from 'undici';
import type { Environment } from '../input/environment.ts';
import { proxyUrls } from '../input/proxyVariables.ts';

type Fetch = typeof globalThis.fetch;

/** An idle tunnel keeps the process, unlike an idle connection: not for long, then. */
const keepAliveTimeout = 1_000;

/**
 * What sends requests through the proxies that the environment names: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, in small
 * letters too. Undefined where it names none: nothing is loaded then. Throws an `OptionsError` for a proxy that is no URL.
 */
export function proxiedFetch(environment: Environment): Fetch | undefined {
  const { httpProxy, httpsProxy, noProxy } = proxyUrls(environment);
  if (httpProxy === '' && httpsProxy === '') return undefined;
  let agent: EnvHttpProxyAgent | undefined;
  return async (input, init) => {
    // The global `fetch` takes no dispatcher of another copy of undici.
    const undici = await import('undici');
    agent ??= new undici.EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy, keepAliveTimeout });
    const fetch = undici.fetch as unknown as (url: typeof input, options: object) => Promise<Response>;
    return fetch(input, { ...init, dispatcher: agent });
  };
}
