// Issue 10, item 14: an error that is neither the provider's nor the network's is `internal`. Here it is a mistake in the `fetch`
// that the user gave.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { lastValueFrom, of } from 'rxjs';
import { Agent, fetch as undiciFetch } from 'undici';
import { describe, expect, it, vi } from 'vitest';
import { creditLimiter } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { throttledFetch } from '../../src/operators/throttledFetch.ts';
import { requestText } from '../../src/providers/http/requestText.ts';
import { twelveDataQuotes } from '../../src/providers/twelveDataQuotes.ts';
import { asked } from './support/asked.ts';

type Fetch = typeof globalThis.fetch;

const ofUndici = undiciFetch as unknown as Fetch;
const key = 'planted-key';
const { signal } = new AbortController();

describe('a mistake in the fetch of the user', () => {
  const forgetful: Fetch = () => Promise.reject(new TypeError("Cannot read properties of undefined (reading 'proxy')"));
  const broken = (): never => {
    throw new TypeError('a mistake');
  };

  it.each(Object.entries(asked))('is internal for %s, and not tried again', async (_, { ask }) => {
    const error = await ask(forgetful).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'internal',
      retryable: false,
    });
    expect(String(error)).toContain(": fetch: TypeError: Cannot read properties of undefined (reading 'proxy')");
  });

  it('fails the symbols of its batch once, and opens no circuit', async () => {
    let calls = 0;
    const fetch: Fetch = () => {
      calls += 1;
      return forgetful('');
    };
    const fetcher = limited(twelveDataQuotes({ apiKey: key, fetch }), creditLimiter({ credits: 8 }));
    const batch = [{ symbol: 'AAPL', assetType: 'STOCK' }] as const;
    const { outcomes } = await lastValueFrom(of(batch).pipe(throttledFetch({ fetcher })));
    expect(outcomes).toMatchObject([{ status: 'failed', error: { code: 'internal' } }]);
    expect(calls).toBe(1);
    expect(fetcher.health?.()).toMatchObject([{ state: 'up' }]);
  });

  it.each<[string, Fetch]>([
    ['no answer', () => Promise.resolve(undefined as never)],
    [
      'an answer without a body to read',
      () => Promise.resolve({ ok: true, headers: new Headers(), body: {} } as never),
    ],
    ['an error of its own', () => Promise.reject(new Error('no configuration'))],
    ['an error that it throws at once', () => JSON.parse('{') as never],
    ['what is no error', vi.fn().mockRejectedValue('no')],
    ['a header that is none', (url) => globalThis.fetch(url, { headers: { 'x-own': 'a\nb' } })],
    ['a URL that is none', () => globalThis.fetch('/quotes')],
    ['a dispatcher that fails', (url) => globalThis.fetch(url, { dispatcher: { dispatch: broken } } as never)],
    ['an option that undici refuses', (url) => ofUndici(url, { dispatcher: new Agent({ connections: -1 }) } as never)],
  ])('is internal: %s', async (_, fetch) => {
    await expect(requestText({ provider: 'own', url: 'http://localhost', signal, fetch })).rejects.toMatchObject({
      code: 'internal',
      retryable: false,
    });
  });

  it('shows no key, and no URL, which may hold one', async () => {
    const headers = { 'x-api-key': key };
    const url = 'https://prices.example.com/?apikey=other-key';
    const fetch: Fetch = (given) => Promise.reject(new TypeError(`cannot send ${key} to ${String(given)}`));
    await expect(requestText({ provider: 'own', url, headers, signal, fetch })).rejects.toMatchObject({
      message: 'own: fetch: TypeError: cannot send *** to https://...',
    });
  });
});

describe('a network that fails', () => {
  it.each<[string, Fetch]>([
    ['the global fetch', (url, init) => globalThis.fetch(url, init)],
    ['the fetch of undici', ofUndici],
  ])('is an outage, with %s', async (_, fetch) => {
    const url = `http://127.0.0.1:${await closedPort()}`;
    await expect(requestText({ provider: 'own', url, signal, fetch })).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
      message: 'own: no answer: ECONNREFUSED',
    });
  });

  it.each<[string, Error, boolean]>([
    ['a time limit of its own', new DOMException('too late', 'TimeoutError'), true],
    ['an abort of its own', new DOMException('too late', 'AbortError'), true],
    ['undici, without a cause', new TypeError('terminated'), false],
    ['undici, with a cause that has no code', new TypeError('fetch failed', { cause: new Error('bad port') }), false],
    ['an HTTP client with codes', Object.assign(new Error('x'), { code: 'ECONNRESET' }), true],
    ['node-fetch', Object.assign(new Error('x'), { name: 'FetchError', type: 'body-timeout' }), false],
  ])('is an outage: %s', async (_, error, retryable) => {
    const fetch: Fetch = () => Promise.reject(error);
    await expect(requestText({ provider: 'own', url: 'http://localhost', signal, fetch })).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable,
    });
  });
});

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
