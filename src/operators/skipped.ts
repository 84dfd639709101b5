import { PipelineError } from '../model/errors.ts';
import type { SkipReason } from '../model/outcome.ts';

/** What becomes of an input that was not tried because of the signal: only a time limit is a deadline. */
export function skippedBy({ reason }: AbortSignal): { readonly status: 'skipped'; readonly reason: SkipReason } {
  const isDeadline = PipelineError.isInstance(reason) && reason.code === 'timeout';
  return { status: 'skipped', reason: isDeadline ? 'deadline' : 'canceled' };
}
