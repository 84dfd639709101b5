import {
  rejectedRequest,
  type CompletionEvent,
  type FailedEntry,
  type PipelineError,
  type PipelineName,
} from '../../index.ts';
import type { PreparedRequest } from './jobs.ts';

/** The completion event of a run that could not get to its own: every symbol that is known of it failed. */
export function failedCompletion(
  pipeline: PipelineName,
  error: PipelineError,
  requestId: string,
  request: PreparedRequest | undefined,
): CompletionEvent {
  const event = rejectedRequest(pipeline, error, requestId);
  if (request === undefined) return event;
  const failed = [
    ...request.refused.map((input) => failedEntry(input, input.error)),
    ...request.inputs.map((input) => failedEntry(input, error)),
  ];
  return 'totalSymbols' in event
    ? { ...event, failed, totalSymbols: failed.length }
    : { ...event, failed, totalAssets: failed.length };
}

function failedEntry(
  { symbol, assetType }: { readonly symbol: string; readonly assetType?: string | undefined },
  { code, message }: PipelineError,
): FailedEntry {
  return {
    symbol,
    ...(assetType === undefined ? {} : { asset_type: assetType }),
    stage: 'validate',
    reason: code,
    message,
  };
}
