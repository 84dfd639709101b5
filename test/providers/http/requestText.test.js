var __addDisposableResource =
  (this && this.__addDisposableResource) ||
  function (env, value, async) {
    if (value !== null && value !== void 0) {
      if (typeof value !== 'object' && typeof value !== 'function') throw new TypeError('Object expected.');
      var dispose, inner;
      if (async) {
        if (!Symbol.asyncDispose) throw new TypeError('Symbol.asyncDispose is not defined.');
        dispose = value[Symbol.asyncDispose];
      }
      if (dispose === void 0) {
        if (!Symbol.dispose) throw new TypeError('Symbol.dispose is not defined.');
        dispose = value[Symbol.dispose];
        if (async) inner = dispose;
      }
      if (typeof dispose !== 'function') throw new TypeError('Object not disposable.');
      if (inner)
        dispose = function () {
          try {
            inner.call(this);
          } catch (e) {
            return Promise.reject(e);
          }
        };
      env.stack.push({ value: value, dispose: dispose, async: async });
    } else if (async) {
      env.stack.push({ async: true });
    }
    return value;
  };
var __disposeResources =
  (this && this.__disposeResources) ||
  (function (SuppressedError) {
    return function (env) {
      function fail(e) {
        env.error = env.hasError ? new SuppressedError(e, env.error, 'An error was suppressed during disposal.') : e;
        env.hasError = true;
      }
      var r,
        s = 0;
      function next() {
        while ((r = env.stack.pop())) {
          try {
            if (!r.async && s === 1) return ((s = 0), env.stack.push(r), Promise.resolve().then(next));
            if (r.dispose) {
              var result = r.dispose.call(r.value);
              if (r.async)
                return (
                  (s |= 2),
                  Promise.resolve(result).then(next, function (e) {
                    fail(e);
                    return next();
                  })
                );
            } else s |= 1;
          } catch (e) {
            fail(e);
          }
        }
        if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
        if (env.hasError) throw env.error;
      }
      return next();
    };
  })(
    typeof SuppressedError === 'function'
      ? SuppressedError
      : function (error, suppressed, message) {
          var e = new Error(message);
          return ((e.name = 'SuppressedError'), (e.error = error), (e.suppressed = suppressed), e);
        },
  );
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { requestText } from '../../../src/providers/http/requestText.js';
import { loopbackServer } from '../support/loopbackServer.js';
async function request(answer, options = {}) {
  const env_1 = { stack: [], error: void 0, hasError: false };
  try {
    const server = __addDisposableResource(env_1, await loopbackServer(answer), true);
    return await requestText({
      provider: 'test',
      url: server.baseUrl,
      headers: {},
      maxResponseBytes: 1000,
      signal: new AbortController().signal,
      ...options,
    });
  } catch (e_1) {
    env_1.error = e_1;
    env_1.hasError = true;
  } finally {
    const result_1 = __disposeResources(env_1);
    if (result_1) await result_1;
  }
}
const failing = (code) => () =>
  Promise.reject(new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) }));
describe('requestText', () => {
  it('keeps status and text of an answer, whatever it is', async () => {
    const answer = { status: 418, headers: { 'x-tea': 'yes' }, body: 'short and stout' };
    const { status, headers, body } = await request(answer);
    expect([status, headers.get('x-tea'), body]).toEqual([418, 'yes', 'short and stout']);
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
    const bomb = (_, response) => {
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
    const broken = (_, response) => {
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
  ])('takes a connection cut %s for an outage', async (_, cut) => {
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
    const env_2 = { stack: [], error: void 0, hasError: false };
    try {
      const controller = new AbortController();
      const reason = new Error('enough');
      const server = __addDisposableResource(
        env_2,
        await loopbackServer((_, response) => {
          response.writeHead(200);
          response.write('{');
        }),
        true,
      );
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
    } catch (e_2) {
      env_2.error = e_2;
      env_2.hasError = true;
    } finally {
      const result_2 = __disposeResources(env_2);
      if (result_2) await result_2;
    }
  });
});
