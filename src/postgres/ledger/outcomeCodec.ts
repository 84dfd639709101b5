import { PipelineError } from '../../model/errors.ts';
import type { ErrorRecord } from '../../model/errors.ts';
import type { Outcome, SkipReason, Stage } from '../../model/outcome.ts';

/** How a ledger writes the inputs and values of a sink as JSON, and reads them back. */
export interface LedgerCodec<I, T> {
  encodeInput(input: I): unknown;
  decodeInput(json: unknown): I;
  encodeValue(value: T): unknown;
  /** `input` is the one of the value's outcome, already decoded. */
  decodeValue(json: unknown, input: I): T;
}

/** Inputs and values that are plain JSON. */
export function plainCodec<I, T>(): LedgerCodec<I, T> {
  return {
    encodeInput: (input) => input,
    decodeInput: (json) => json as I,
    encodeValue: (value) => value,
    decodeValue: (json) => json as T,
  };
}

/** One entry of `batches.outcomes`: the status is the key of the input, because a ledger holds millions of them. */
export type OutcomeRecord =
  | { readonly ok: unknown; readonly value: unknown; readonly by?: string | undefined }
  | { readonly fresh: unknown; readonly value: unknown }
  | { readonly failed: unknown; readonly stage: Stage; readonly error: ErrorRecord }
  | { readonly skipped: unknown; readonly reason: SkipReason; readonly until?: string | undefined };

export function encodeOutcome<I, T>(outcome: Outcome<I, T>, codec: LedgerCodec<I, T>): OutcomeRecord {
  const input = codec.encodeInput(outcome.input);
  switch (outcome.status) {
    case 'ok':
      return { ok: input, value: codec.encodeValue(outcome.value), by: outcome.provider };
    case 'fresh':
      return { fresh: input, value: codec.encodeValue(outcome.value) };
    case 'failed':
      return { failed: input, stage: outcome.stage, error: outcome.error.toJSON() };
    case 'skipped':
      return { skipped: input, reason: outcome.reason, until: outcome.until?.toISOString() };
  }
}

export function decodeOutcome<I, T>(record: OutcomeRecord, codec: LedgerCodec<I, T>): Outcome<I, T> {
  if ('ok' in record) {
    const input = codec.decodeInput(record.ok);
    return {
      status: 'ok',
      input,
      value: codec.decodeValue(record.value, input),
      ...(record.by === undefined ? {} : { provider: record.by }),
    };
  }
  if ('fresh' in record) {
    const input = codec.decodeInput(record.fresh);
    return { status: 'fresh', input, value: codec.decodeValue(record.value, input) };
  }
  if ('failed' in record) {
    const { stage, error } = record;
    return { status: 'failed', input: codec.decodeInput(record.failed), stage, error: PipelineError.fromRecord(error) };
  }
  const { skipped, reason, until } = record;
  return {
    status: 'skipped',
    input: codec.decodeInput(skipped),
    reason,
    ...(until === undefined ? {} : { until: new Date(until) }),
  };
}
