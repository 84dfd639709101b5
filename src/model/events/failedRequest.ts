import type { PipelineError } from '../errors.ts';
import type { Stage } from '../outcome.ts';
import type { Request } from '../requests/request.ts';
import type { CompletionEvent, FailedEntry } from './completion.ts';
import { rejectedRequest } from './rejectedRequest.ts';

/**
 * Makes the completion event of a request that got no answer of its own: every symbol that was asked for failed, with `error` at
 * `stage`; those that were refused before keep their reason.
 *
 * `key` is the `requestId` of a request whose client gave none.
 *
 * @example
 * ```ts
 * import { failedRequest, parseMarketDataRequest, PipelineError } from 'fintrack-pipelines';
 *
 * const request = parseMarketDataRequest({ assets: [{ symbol: 'AAPL', asset_type: 'STOCK' }], accountId: 'user123' });
 * const error = new PipelineError('timeout', 'no progress for 120 s');
 * const { status, failed, accountId } = failedRequest(request, error, { key: 'REQUESTS-0-7-1795000000000', stage: 'fetch' });
 * console.log(status, failed[0]?.symbol, failed[0]?.reason, accountId);
 * // failed AAPL timeout user123
 * ```
 */
export function failedRequest(
  { pipeline, inputs, refused, account, requestId }: Request<unknown>,
  error: PipelineError,
  { key, stage }: { readonly key: string; readonly stage: Stage },
): CompletionEvent {
  const failed = [
    ...refused.map(({ symbol, assetType, error: refusal }) => entryOf(symbol, assetType, refusal, 'validate')),
    ...inputs.map((input) => {
      const { symbol, assetType } = input as { readonly symbol?: unknown; readonly assetType?: unknown };
      return entryOf(String(symbol), typeof assetType === 'string' ? assetType : undefined, error, stage);
    }),
  ];
  const event = { ...rejectedRequest(pipeline, error, requestId ?? key), ...account, failed };
  return 'totalSymbols' in event ? { ...event, totalSymbols: failed.length } : { ...event, totalAssets: failed.length };
}

function entryOf(
  symbol: string,
  assetType: string | undefined,
  { code, message }: PipelineError,
  stage: Stage,
): FailedEntry {
  return { symbol, ...(assetType === undefined ? {} : { asset_type: assetType }), stage, reason: code, message };
}
