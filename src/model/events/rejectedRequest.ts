import type { PipelineError } from '../errors.ts';
import type { CompletionEvent, CompletionFields } from './completion.ts';
import type { PipelineName } from '../requests/request.ts';

/**
 * Makes the completion event for a message that is no request, so that its client is told.
 *
 * @example
 * ```ts
 * import { parseMarketDataRequest, PipelineError, rejectedRequest } from 'fintrack-pipelines';
 *
 * try {
 *   parseMarketDataRequest('[]');
 * } catch (error) {
 *   const { status, errorType, error: reason } = rejectedRequest('market-data', PipelineError.from(error), 'request-1');
 *   console.log(status, errorType, reason);
 *   // failed request_malformed request: expected a JSON object, got []
 * }
 * ```
 */
export function rejectedRequest(pipeline: PipelineName, error: PipelineError, requestId: string): CompletionEvent {
  const fields: CompletionFields = {
    status: 'failed',
    totalBatches: 0,
    totalTransactions: 0,
    processingTimeMs: 0,
    error: error.message,
    errorType: error.code,
    batchId: `${requestId}#0`,
    failedBatch: 0,
    failed: [],
    skipped: [],
    requestId,
  };
  switch (pipeline) {
    case 'market-data':
      return { ...fields, totalAssets: 0 };
    case 'market-index-data':
      return { ...fields, totalSymbols: 0 };
    case 'historical-market-data':
      return { ...fields, totalAssets: 0, record_count: 0 };
  }
}
