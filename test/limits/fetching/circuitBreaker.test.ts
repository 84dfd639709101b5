import { beforeEach, describe, expect, it, vi } from 'vitest';
import { CircuitBreaker } from '../../../src/limits/fetching/circuitBreaker.ts';
import { PipelineError, ProviderError, RateLimitError } from '../../../src/model/errors.ts';

const down = new ProviderError('provider_unavailable', 'test: HTTP 503', { retryable: true });

beforeEach(() => {
  vi.useFakeTimers();
});

const open = (): CircuitBreaker => {
  const breaker = new CircuitBreaker({ provider: 'test', failures: 5, openMs: 30_000 });
  for (let failure = 0; failure < 5; failure += 1) breaker.admit()?.end(down);
  return breaker;
};

const closed = (): CircuitBreaker => new CircuitBreaker({ provider: 'test', failures: 5, openMs: 30_000 });

describe('a circuit', () => {
  it('opens after failures in a row', () => {
    const breaker = closed();
    for (let failure = 0; failure < 4; failure += 1) breaker.admit()?.end(down);
    expect(breaker.isDown).toBe(false);
    breaker.admit()?.end();
    for (let failure = 0; failure < 4; failure += 1) breaker.admit()?.end(down);
    expect(breaker.isDown).toBe(false);
    breaker.admit()?.end(down);
    expect(breaker.isDown).toBe(true);
    expect(breaker.admit()).toBeUndefined();
  });

  it.each([
    ['half of 20', 20, true],
    ['half of 18', 18, false],
  ])('opens when half of many failed: %s', (_name, calls, isDown) => {
    const breaker = closed();
    for (let call = 0; call < calls; call += 1) breaker.admit()?.end(call % 2 === 0 ? undefined : down);
    expect(breaker.isDown).toBe(isDown);
  });

  it('forgets calls after 30 s', async () => {
    const breaker = closed();
    for (let call = 0; call < 10; call += 1) breaker.admit()?.end(call % 2 === 0 ? down : undefined);
    await vi.advanceTimersByTimeAsync(30_000);
    for (let call = 0; call < 10; call += 1) breaker.admit()?.end(call % 2 === 0 ? undefined : down);
    expect(breaker.isDown).toBe(false);
  });

  it.each<[string, PipelineError]>([
    ['a refusal for the rate', new RateLimitError('test')],
    ['an unknown symbol', new ProviderError('symbol_unknown', 'test')],
    ['a call that was canceled', new PipelineError('canceled', 'test')],
    ['an answer that cannot be read', new ProviderError('response_malformed', 'test')],
  ])('is not opened by %s', (_name, error) => {
    const breaker = closed();
    for (let call = 0; call < 100; call += 1) breaker.admit()?.end(error);
    expect(breaker.isDown).toBe(false);
  });

  it.each<[string, PipelineError]>([
    ['a time limit', new ProviderError('timeout', 'test', { retryable: true })],
    ['an unknown host', new ProviderError('provider_unavailable', 'test')],
    ['an answer that was cut off', new ProviderError('response_malformed', 'test', { retryable: true })],
  ])('is opened by %s', (_name, error) => {
    const breaker = closed();
    for (let call = 0; call < 5; call += 1) breaker.admit()?.end(error);
    expect(breaker.isDown).toBe(true);
  });
});

describe('an open circuit', () => {
  it('lets one call through after a while, and no other until that has ended', async () => {
    const breaker = open();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(breaker.admit()).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(breaker.isDown).toBe(false);
    const trial = breaker.admit();
    expect(trial).toBeDefined();
    expect(breaker.admit()).toBeUndefined();
    trial?.end();
    expect(breaker.downMs).toBe(0);
    expect(breaker.admit()).toBeDefined();
    expect(breaker.admit()).toBeDefined();
  });

  it('stays open when that call fails', async () => {
    const breaker = open();
    await vi.advanceTimersByTimeAsync(30_000);
    breaker.admit()?.end(down);
    expect(breaker.isDown).toBe(true);
    expect(breaker.downMs).toBe(30_000);
    expect(breaker.trialInMs).toBe(30_000);
    expect(breaker.error).toMatchObject({
      code: 'provider_unavailable',
      message: 'test: down for 30 s: test: HTTP 503',
      retryable: true,
      retryAfterMs: 30_000,
    });
  });

  it.each<[string, PipelineError, number]>([
    ['was refused for the rate: the provider is back', new RateLimitError('test'), 0],
    ['was canceled: the next one tries', new PipelineError('canceled', 'test'), 30_000],
  ])('lets calls through when that call %s', async (_name, error, downMs) => {
    const breaker = open();
    await vi.advanceTimersByTimeAsync(30_000);
    breaker.admit()?.end(error);
    expect(breaker.isDown).toBe(false);
    expect(breaker.downMs).toBe(downMs);
  });

  it('takes no notice of calls that were sent before', async () => {
    const breaker = closed();
    const early = Array.from({ length: 6 }, () => breaker.admit());
    for (let failure = 0; failure < 5; failure += 1) breaker.admit()?.end(down);
    await vi.advanceTimersByTimeAsync(10_000);
    for (const [index, sent] of early.entries()) sent?.end(index === 0 ? undefined : down);
    expect([breaker.isDown, breaker.trialInMs]).toEqual([true, 20_000]);
  });

  it('tells when it is worth asking again, and leaves no timer behind', async () => {
    const breaker = open();
    const told: string[] = [];
    breaker.onChange(() => told.push('a'));
    const forget = breaker.onChange(() => told.push('b'));
    await vi.advanceTimersByTimeAsync(10_000);
    forget();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(told).toEqual(['a']);
    const trial = breaker.admit();
    breaker.onChange(() => told.push('c'));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual(['a']);
    trial?.end();
    expect(told).toEqual(['a', 'c']);
    expect(vi.getTimerCount()).toBe(0);
    const other = open();
    other.onChange(() => told.push('d'))();
    expect(vi.getTimerCount()).toBe(0);
  });
});
