import { OptionsError } from '../errors.ts';
import type { Outcome } from '../outcome.ts';
import type { RefusedInput, Request } from '../requests/request.ts';
import type { Summary } from '../summary.ts';
import type { CompletionFields, CompletionStatus, FailedEntry, SkippedEntry } from './completion.ts';

/** What a completion event needs to know of the request it answers. */
export interface Answered<R> {
  /** The ledger key of the request. */
  readonly id: string;
  readonly request: R;
  readonly acceptedAt: Date;
}

interface Input {
  readonly symbol: string;
  readonly assetType?: string;
}

/** The fields that every completion event derives from its request and summary in the same way. */
export function completionOf<I extends Input>(
  summary: Summary<I, unknown>,
  { id, request, acceptedAt }: Answered<Request<I>>,
): CompletionFields {
  checkOutcomes(summary);
  const { counts, batches, written, finishedAt } = summary;
  const requestId = request.requestId ?? id;
  const failed = [...request.refused.map(refusedEntry), ...summary.failures.map(failedEntry)];
  const skipped = summary.outcomes.flatMap(skippedEntry);
  const status = statusOf(counts.ok + counts.fresh, failed.length + skipped.length);
  return {
    status,
    totalBatches: batches.length,
    totalTransactions: written.transactions,
    processingTimeMs: Math.max(0, Math.round(finishedAt.getTime() - acceptedAt.getTime())),
    ...(status === 'failed' ? failureOf(summary, failed, skipped, requestId) : {}),
    failed,
    skipped,
    ...request.account,
    requestId,
  };
}

/** For JavaScript; TypeScript refuses it. */
function checkOutcomes({ outcomes }: { readonly outcomes?: unknown }): void {
  if (Array.isArray(outcomes)) return;
  throw new OptionsError(
    'completion event: expected a summary with its outcomes, got one without: call summarize() without outcomes: false',
  );
}

/** How many different symbols were asked for: every one stands once in the event. */
export function totalOf(summary: Summary<unknown, unknown>, request: Request<unknown>): number {
  return summary.outcomes.length + request.refused.length;
}

/** The values that were written or confirmed fresh. */
export function servedValues<T>(outcomes: readonly Outcome<unknown, T>[]): T[] {
  return outcomes.flatMap((outcome) => (outcome.status === 'ok' || outcome.status === 'fresh' ? [outcome.value] : []));
}

function statusOf(served: number, unserved: number): CompletionStatus {
  if (unserved === 0) return 'complete';
  return served === 0 ? 'failed' : 'partial';
}

/** What stands for a skip where an error's code is expected. */
const skipCodes = { quota: 'quota_exhausted', deadline: 'timeout', canceled: 'canceled' } as const;

function failureOf(
  { failures }: Summary<unknown, unknown>,
  failed: readonly FailedEntry[],
  skipped: readonly SkippedEntry[],
  requestId: string,
): Pick<CompletionFields, 'error' | 'errorType' | 'batchId' | 'failedBatch'> {
  const [first] = failed;
  const number = failures[0] === undefined ? 0 : failures[0].batch + 1;
  return {
    error: first === undefined ? 'every symbol was skipped' : first.message,
    errorType: first?.reason ?? skipCodes[skipped[0]?.reason ?? 'canceled'],
    batchId: `${requestId}#${String(number)}`,
    failedBatch: number,
  };
}

function refusedEntry({ symbol, assetType, error }: RefusedInput): FailedEntry {
  return {
    symbol,
    ...(assetType === undefined ? {} : { asset_type: assetType }),
    stage: 'validate',
    reason: error.code,
    message: error.message,
  };
}

function failedEntry({ input, stage, error }: Summary<Input, unknown>['failures'][number]): FailedEntry {
  return { ...entryOf(input), stage, reason: error.code, message: error.message };
}

function skippedEntry(outcome: Outcome<Input, unknown>): SkippedEntry[] {
  if (outcome.status !== 'skipped') return [];
  const { input, reason, until } = outcome;
  return [{ ...entryOf(input), reason, ...(until && { until: until.toISOString() }) }];
}

function entryOf({ symbol, assetType }: Input): { symbol: string; asset_type?: string } {
  return assetType === undefined ? { symbol } : { symbol, asset_type: assetType };
}
