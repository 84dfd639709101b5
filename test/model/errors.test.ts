import { describe, expect, it } from 'vitest';
import {
  OptionsError,
  PipelineError,
  ProviderError,
  PublishError,
  RateLimitError,
  RequestError,
  SinkError,
} from '../../src/model/errors.ts';

describe('PipelineError', () => {
  it('is recognized across two copies of the package', () => {
    const foreign = Object.assign(new Error('x'), { [Symbol.for('fintrack-pipelines/PipelineError')]: true });
    expect(PipelineError.isInstance(foreign)).toBe(true);
    expect(PipelineError.isInstance(new Error('x'))).toBe(false);
    expect(PipelineError.isInstance(null)).toBe(false);
    expect(PipelineError.isInstance('x')).toBe(false);
  });

  it('is not retryable unless it says so', () => {
    expect(new ProviderError('timeout', 'late').retryable).toBe(false);
    expect(new ProviderError('timeout', 'late', { retryable: true }).retryable).toBe(true);
  });

  it('carries its cause, which its record leaves out', () => {
    const cause = new Error('password=canary');
    const error = new SinkError('database_error', 'market_data: refused', { cause });
    expect(error.cause).toBe(cause);
    expect(JSON.stringify(error)).toBe('{"name":"SinkError","code":"database_error","message":"market_data: refused"}');
  });

  it('comes back from its record with name, code, message and retryable', () => {
    const error = new RateLimitError('twelve-data', { retryAfterMs: 60_000 });
    const back = PipelineError.fromRecord(error.toJSON());
    expect(back).toMatchObject({
      name: 'RateLimitError',
      code: 'rate_limited',
      message: error.message,
      retryable: true,
    });
    expect(PipelineError.isInstance(back)).toBe(true);
  });

  it('wraps what is no PipelineError as internal and leaves others as they are', () => {
    const error = new RequestError('date_invalid', 'x');
    expect(PipelineError.from(error)).toBe(error);
    expect(PipelineError.from(new TypeError('boom'))).toMatchObject({ code: 'internal', message: 'boom' });
    expect(PipelineError.from('boom')).toMatchObject({ code: 'internal', message: 'boom' });
  });

  it('names each subclass', () => {
    const errors = [
      new OptionsError('x'),
      new PublishError('x'),
      new RateLimitError('p'),
      new ProviderError('timeout', 'x'),
    ];
    expect(errors.map(({ name, code }) => `${name} ${code}`)).toEqual([
      'OptionsError options_invalid',
      'PublishError publish_failed',
      'RateLimitError rate_limited',
      'ProviderError timeout',
    ]);
  });
});
