import type { PipelineError } from '../../../model/errors.ts';
import type { CompletionEvent, FailedEntry } from '../../../model/events/completion.ts';
import { rejectedRequest } from '../../../model/events/rejectedRequest.ts';
import type { Request } from '../../../model/requests/request.ts';
import type { Stage } from '../../../model/outcome.ts';

/** The completion event of a request that got no answer of its own: every symbol that was asked for failed. */
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
