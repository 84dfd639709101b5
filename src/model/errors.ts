/** Every `code` an error of this library can carry: stable, and the label of the failure in metrics and events. */
export const errorCodes = [
  'options_invalid',
  'request_malformed',
  'request_refused',
  'request_conflict',
  'request_exhausted',
  'symbol_invalid',
  'symbol_too_long',
  'asset_type_unknown',
  'date_invalid',
  'rate_limited',
  'quota_exhausted',
  'symbol_unknown',
  'symbol_mismatch',
  'not_in_plan',
  'unauthorized',
  'provider_unavailable',
  'provider_rejected',
  'timeout',
  'response_malformed',
  'response_too_large',
  'value_invalid',
  'value_out_of_range',
  'row_rejected',
  'database_unavailable',
  'database_busy',
  'database_error',
  'database_not_ready',
  'publish_failed',
  'record_too_large',
  'broker_unavailable',
  'broker_error',
  'undecodable',
  'fenced',
  'canceled',
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface PipelineErrorOptions {
  /** Whether the same call may succeed later without any change. Default: false. */
  retryable?: boolean | undefined;
  /** How long to wait before the next try, in milliseconds. Default: none. */
  retryAfterMs?: number | undefined;
  /** The error underneath. Default: none. */
  cause?: unknown;
}

/** What is left of an error in a ledger row or an event: no stack, no cause, nothing secret. */
export interface ErrorRecord {
  name: string;
  code: ErrorCode;
  message: string;
  retryable?: boolean;
}

const brand = Symbol.for('fintrack-pipelines/PipelineError');

/**
 * The base of every error this library raises or puts into an outcome.
 *
 * Its message says who, what, and the value seen; keys and passwords never appear in it. Test for it with
 * `PipelineError.isInstance(error)`, which also holds across two copies of the package.
 */
export class PipelineError extends Error {
  override readonly name: string = 'PipelineError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: PipelineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    Object.defineProperty(this, brand, { value: true });
  }

  /** Whether `error` is a PipelineError of this or of another copy of the package. */
  static isInstance(error: unknown): error is PipelineError {
    return typeof error === 'object' && error !== null && brand in error;
  }

  /** `error` itself when it is a PipelineError, otherwise one with code `internal` around it. */
  static from(error: unknown): PipelineError {
    if (PipelineError.isInstance(error)) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new PipelineError('internal', message, { cause: error });
  }

  /** The error back from its record, for outcomes read from a ledger. */
  static fromRecord(record: ErrorRecord): PipelineError {
    const error = new PipelineError(record.code, record.message, { retryable: record.retryable });
    Object.defineProperty(error, 'name', { value: record.name });
    return error;
  }

  toJSON(): ErrorRecord {
    return {
      name: this.name,
      code: this.code,
      message: this.message,
      ...(this.retryable ? { retryable: true } : {}),
    };
  }
}

/** An option that is missing, of the wrong type or out of range. */
export class OptionsError extends PipelineError {
  override readonly name = 'OptionsError';

  constructor(message: string, options?: PipelineErrorOptions) {
    super('options_invalid', message, options);
  }
}

/** A message that is no request, or a part of a request that cannot be served. */
export class RequestError extends PipelineError {
  override readonly name: string = 'RequestError';
}

/** A provider's refusal, failure or unreadable answer. */
export class ProviderError extends PipelineError {
  override readonly name: string = 'ProviderError';
}

/** A provider's "too many requests": the limiter pauses, and the call is no attempt. */
export class RateLimitError extends ProviderError {
  override readonly name = 'RateLimitError';

  constructor(provider: string, options: { message?: string | undefined } & PipelineErrorOptions = {}) {
    const { message = 'too many requests', ...rest } = options;
    super('rate_limited', `${provider}: ${message}`, { retryable: true, ...rest });
  }
}

/** A sink, a ledger or a table source that could not do its work. */
export class SinkError extends PipelineError {
  override readonly name = 'SinkError';
}

/** An event that could not be published; `record_too_large` when its topic takes no record of that size. */
export class PublishError extends PipelineError {
  override readonly name = 'PublishError';

  constructor(
    message: string,
    {
      code = 'publish_failed',
      ...options
    }: { code?: 'publish_failed' | 'record_too_large' } & PipelineErrorOptions = {},
  ) {
    super(code, message, options);
  }
}

/** A broker that could not be reached, or refused what it was asked for. */
export class BrokerError extends PipelineError {
  override readonly name = 'BrokerError';
}

/** Somebody else has taken over what this one still believed to own: whatever it wanted to write was not written. */
export class FencedError extends PipelineError {
  override readonly name = 'FencedError';

  constructor(message: string, options?: PipelineErrorOptions) {
    super('fenced', message, options);
  }
}
