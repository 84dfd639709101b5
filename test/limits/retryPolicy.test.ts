import { describe, expect, it } from 'vitest';
import { pauseMs } from '../../src/limits/pause.ts';
import { asProviderError, endsBatch, isAnswer, isTransient, retryDelayMs } from '../../src/limits/retryPolicy.ts';
import { ProviderError, RateLimitError } from '../../src/model/errors.ts';
import type { ErrorCode, PipelineError } from '../../src/model/errors.ts';

const down = (retryAfterMs?: number): PipelineError =>
  new ProviderError('provider_unavailable', 'down', { retryable: true, retryAfterMs });

describe('retryDelayMs', () => {
  it('doubles up to 30 s, with full jitter', () => {
    expect([0, 1, 2, 3, 6, 50].map((retries) => retryDelayMs(down(), retries, () => 1))).toEqual([
      500, 1_000, 2_000, 4_000, 30_000, 30_000,
    ]);
    expect(retryDelayMs(down(), 2, () => 0.25)).toBe(500);
    expect(retryDelayMs(down(), 2, () => 0)).toBe(0);
  });

  it('is never less than the provider asked for, up to a minute', () => {
    expect(retryDelayMs(down(5_000), 0, () => 1)).toBe(5_000);
    expect(retryDelayMs(down(10 * 365 * 86_400_000), 0, () => 1)).toBe(60_000);
    expect(retryDelayMs(down(-1), 0, () => 1)).toBe(500);
    expect(retryDelayMs(down(NaN), 0, () => 1)).toBe(500);
  });
});

describe('pauseMs', () => {
  const now = Date.UTC(2026, 0, 1, 12, 0, 59, 900);

  it.each([
    [20_000, 60_000, 20_000],
    [undefined, 60_000, 350],
    [undefined, 3_600_000, 350],
    [undefined, 1_000, 1_000],
    [Infinity, 60_000, 350],
    [0, 60_000, 350],
  ])('asked for %s ms in a window of %i ms: %i ms', (retryAfterMs, windowMs, expected) => {
    expect(pauseMs(new RateLimitError('test', { retryAfterMs }), windowMs, now)).toBe(expected);
  });
});

describe('what becomes of an error', () => {
  const error = (code: ErrorCode, retryable = false): PipelineError => new ProviderError(code, code, { retryable });

  it('is a retry for what is retryable, but for refusals and for what ends the batch', () => {
    expect(isTransient(down())).toBe(true);
    expect(isTransient(error('response_malformed', true))).toBe(true);
    expect(isTransient(error('response_malformed'))).toBe(false);
    expect(isTransient(new RateLimitError('test'))).toBe(false);
    expect(isTransient(error('quota_exhausted', true))).toBe(false);
  });

  it('is the end of the batch for what holds of every call', () => {
    expect((['unauthorized', 'quota_exhausted', 'canceled'] as const).map((code) => endsBatch(error(code)))).toEqual([
      true,
      true,
      true,
    ]);
    expect(endsBatch(error('not_in_plan'))).toBe(false);
  });

  it('is an answer only when the provider is known to have given one', () => {
    expect(
      (['rate_limited', 'unauthorized', 'response_malformed'] as const).every((code) => isAnswer(error(code))),
    ).toBe(true);
    expect(
      (['timeout', 'provider_unavailable', 'canceled', 'internal'] as const).some((code) => isAnswer(error(code))),
    ).toBe(false);
    expect(isAnswer(new Error('anything'))).toBe(false);
  });
});

describe('asProviderError', () => {
  it('keeps our own errors as they are', () => {
    const ours = down();
    expect(asProviderError('test', ours)).toBe(ours);
  });

  it('takes a lost connection for transient, however deep the code is', () => {
    const cause = Object.assign(new Error('getaddrinfo'), { code: 'EAI_AGAIN' });
    expect(asProviderError('test', new TypeError('fetch failed', { cause }))).toMatchObject({
      code: 'provider_unavailable',
      retryable: true,
      message: 'test: no connection (EAI_AGAIN)',
    });
  });

  it('takes anything else for a bug, and quotes no URL', () => {
    const seen = asProviderError(
      'test',
      new TypeError('Failed to parse URL from https://user:SECRET@api.test/quote?apikey=SECRET'),
    );
    expect(seen).toMatchObject({
      code: 'internal',
      retryable: false,
      message: 'test: TypeError: Failed to parse URL from https://...',
    });
    expect(asProviderError('test', undefined).message).toBe('test: undefined');
  });
});
