import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { EnvHttpProxyAgent, fetch as undiciFetch } from 'undici';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { twelveDataQuotes } from '../../src/index.ts';
import { connectProxy } from '../support/connectProxy.ts';
import { quoteBody, startMarketServer } from '../support/marketServer.ts';
import { selfSigned } from '../support/selfSigned.ts';
import { track } from '../support/track.ts';
import { cli } from './support/cli.ts';

// Issue 10, item 16.

const host = 'market.invalid';
const login = 'canary-user:canary-p%40ss';
const key = 'canary-key-of-the-api';

beforeEach(() => {
  // The certificate is our own. Node.js warns of this once.
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  return () => vi.unstubAllEnvs();
});

/** An API behind TLS, under a name that only the proxy knows. */
async function startTlsMarket() {
  const seen: (string | undefined)[] = [];
  const server = createServer(selfSigned(host), (request, response) => {
    seen.push(request.headers.authorization);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(quoteBody('AAPL')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    seen,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

const run = (env: Record<string, string>) =>
  cli(['run', 'market-data', '--symbols', 'AAPL:STOCK', '--database', 'memory'], {
    env: { TWELVE_DATA_API_KEY: key, ...env },
  });

describe('the command line behind a proxy', () => {
  it.each(['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY'])('goes through the one that %s names', async (variable) => {
    await using market = track(await startTlsMarket());
    await using proxy = track(await connectProxy(market.port, decodeURIComponent(login)));
    const result = await run({
      TWELVE_DATA_API_HOST: `https://${host}`,
      [variable]: `http://${login}@${proxy.address}`,
    });
    expect(result.stderr).toContain('1 of 1');
    expect(result.code).toBe(0);
    expect(proxy.asked).toEqual([{ target: `${host}:443`, login: decodeURIComponent(login) }]);
    // The key goes to the API, inside of TLS.
    expect(market.seen).toEqual([`apikey ${key}`]);
    expect(result.stdout + result.stderr).not.toContain('canary');
  });

  it('asks the hosts of NO_PROXY directly', async () => {
    await using market = track(await startMarketServer(() => ({ body: quoteBody('AAPL') })));
    await using proxy = track(await connectProxy(1));
    const env = { TWELVE_DATA_API_HOST: market.baseUrl, HTTP_PROXY: proxy.address };
    const direct = await run({ ...env, NO_PROXY: 'example.com,127.0.0.1' });
    expect([direct.code, market.requests.length, proxy.asked.length]).toEqual([0, 1, 0]);
    expect((await run({ ...env, no_proxy: '*' })).code).toBe(0);
    expect(proxy.asked).toEqual([]);
  });

  it('says what the proxy says, and none of its credentials', async () => {
    await using market = track(await startTlsMarket());
    await using proxy = track(await connectProxy(market.port, 'somebody:else'));
    const result = await run({
      TWELVE_DATA_API_HOST: `https://${host}`,
      HTTPS_PROXY: `${login}@${proxy.address}`,
      NO_COLOR: '1',
    });
    expect(result.code).toBe(1);
    expect(result.stdout).toContain('the proxy answered 407');
    expect(result.stdout).toContain('provider_unavailable');
    expect(result.stdout + result.stderr).not.toContain('canary');
  }, 60_000);

  it.each([`socks5://${login}@proxy:1080`, `http://${login}@`, `http://${login}@pro xy`])(
    'refuses %s, and shows no part of it',
    async (url) => {
      const result = await run({ HTTPS_PROXY: url });
      expect(result.code).toBe(1);
      expect(result.stderr).toContain('HTTPS_PROXY must be the http(s) URL of a proxy');
      expect(result.stdout + result.stderr).not.toContain('canary');
    },
  );
});

describe('a provider of the library', () => {
  it('goes through a proxy by its option fetch', async () => {
    await using market = track(await startTlsMarket());
    await using proxy = track(await connectProxy(market.port));
    const dispatcher = new EnvHttpProxyAgent({ httpsProxy: `http://${proxy.address}` });
    const fetch = (async (url: string, options: object) =>
      undiciFetch(url, { ...options, dispatcher })) as unknown as typeof globalThis.fetch;
    const provider = twelveDataQuotes({ apiKey: key, baseUrl: `https://${host}`, fetch });
    const answers = await provider.fetch([{ symbol: 'AAPL', assetType: 'STOCK' }], {
      signal: new AbortController().signal,
      report: () => undefined,
    });
    expect(answers).toMatchObject([{ symbol: 'AAPL' }]);
    expect(proxy.asked).toMatchObject([{ target: `${host}:443` }]);
    await dispatcher.destroy();
  });
});
