import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { requestText } from '../../../src/providers/http/requestText.ts';
import { loopbackServer, type Handler, type Recording } from '../support/loopbackServer.ts';

async function request(answer: Recording | Handler, options: Partial<Parameters<typeof requestText>[0]> = {}) {
  await using server = await loopbackServer(answer);
  return await requestText({
    provider: 'test',
    url: server.baseUrl,
    headers: {},
    maxResponseBytes: 1000,
    signal: new AbortController().signal,
    ...options,
  });
}

const failing =
  (code: string): typeof fetch =>
  () =>
    Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) }));

describe('requestText', () => {
  it('keeps status and text of an answer, whatever it is', async () => {
    const answer = { status: 418, headers: { 'x-tea': 'yes' }, body: 'short and stout' };
    const { status, headers, body } = await request(answer);
    expect([status, headers.get('x-tea'), body]).toEqual([418, 'yes', 'short and stout']);
  });

  it('does not hand on a key that an answer repeats', async () => {
    const key = 'a"key/with everything'.replace(' ', '-');
    const echo: Handler = ({ headers }, response) => {
      const sent = [headers.authorization, headers['x-api-key'], headers['x-host'], headers['x-short-key']];
      response.end(JSON.stringify({ sent, again: encodeURIComponent(key), price: '12.50' }));
    };
    const headers = {
      authorization: `Bearer ${key}`,
      'x-api-key': key,
      'x-host': 'prices.example',
      'x-short-key': 'demo',
    };
    const { body } = await request(echo, { headers });
    expect(JSON.parse(body)).toEqual({
      sent: ['***', '***', 'prices.example', 'demo'],
      again: '***',
      price: '12.50',
    });
  });

  it('decodes UTF-8 across chunks, without its byte order mark', async () => {
    const text = `\ufeff{"name":"${'€'.repeat(100)}"}`;
    const bytes = Buffer.from(text);
    const { body } = await request((_, response) => {
      for (let index = 0; index < bytes.length; index += 7) response.write(bytes.subarray(index, index + 7));
      response.end();
    });
    expect(body).toBe(text.slice(1));
  });

  it('takes a body of exactly the limit, and not one byte more', async () => {
    expect((await request({ status: 200, body: 'x'.repeat(1000) })).body).toHaveLength(1000);
    await expect(request({ status: 200, body: 'x'.repeat(1001) })).rejects.toMatchObject({
      code: 'response_too_large',
    });
  });

  it('counts the limit after decompression', async () => {
    const bomb: Handler = (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(gzipSync('x'.repeat(100_000)));
    };
    await expect(request(bomb)).rejects.toMatchObject({ code: 'response_too_large' });
  });

  it('reads only the beginning of a refusal, and keeps its status', async () => {
    const { status, body } = await request({ status: 503, body: 'x'.repeat(100_000) }, { maxResponseBytes: 50_000 });
    expect([status, body.length]).toEqual([503, 16_384]);
  });

  it('keeps the status of a refusal whose body breaks off', async () => {
    const broken: Handler = (_, response) => {
      response.writeHead(429, { 'content-length': 100 });
      response.write('x', () => response.destroy());
    };
    expect(await request(broken)).toMatchObject({ status: 429 });
  });

  it.each([
    ['before any header', (_, response) => response.destroy()],
    [
      'in the body',
      (_, response) => {
        response.writeHead(200, { 'content-length': 100 });
        response.write('{', () => response.destroy());
      },
    ],
  ] satisfies [string, Handler][])('takes a connection cut %s for an outage', async (_, cut) => {
    await expect(request(cut)).rejects.toMatchObject({ code: 'provider_unavailable', retryable: true });
  });

  it.each([
    ['ECONNRESET', true],
    ['ECONNREFUSED', true],
    ['ETIMEDOUT', true],
    ['EAI_AGAIN', true],
    ['UND_ERR_CONNECT_TIMEOUT', true],
    ['ENOTFOUND', false],
    ['CERT_HAS_EXPIRED', false],
  ])('of %s: worth another try: %s', async (code, retryable) => {
    await expect(request({ status: 200, body: '' }, { fetch: failing(code) })).rejects.toMatchObject({
      code: 'provider_unavailable',
      retryable,
      message: `test: no answer: ${code}`,
    });
  });

  it('rejects with the reason of the signal while it waits for the body', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    await using server = await loopbackServer((_, response) => {
      response.writeHead(200);
      response.write('{');
    });
    const answer = requestText({
      provider: 'test',
      url: server.baseUrl,
      headers: {},
      maxResponseBytes: 1000,
      signal: controller.signal,
      onHeaders: () => {
        setImmediate(() => {
          controller.abort(reason);
        });
      },
    });
    await expect(answer).rejects.toBe(reason);
  });
});
