import type { CompletionEvent } from '../../index.ts';
import { duration } from './duration.ts';
import { timeOf } from './time.ts';
import type { Writer } from './writer.ts';

const mostListed = 10;

/** Tells people what a completion event says: the totals, and the first of what failed. */
export function logCompletion(name: string, event: CompletionEvent, writer: Writer): void {
  const { status, failed, skipped, totalBatches, processingTimeMs } = event;
  const total = 'totalSymbols' in event ? event.totalSymbols : event.totalAssets;
  writer.log(
    `${name}: ${status}: ${total - failed.length - skipped.length} of ${total} symbols served ` +
      `in ${totalBatches} ${totalBatches === 1 ? 'batch' : 'batches'}, ${duration(processingTimeMs)}`,
  );
  for (const { symbol, asset_type: type, reason, message } of failed.slice(0, mostListed)) {
    writer.log(`  failed: ${symbol}${type === undefined ? '' : ` ${type}`}: ${reason}: ${message}`);
  }
  if (failed.length > mostListed) writer.log(`  failed: ${failed.length - mostListed} more, listed in the event`);
  const back = quotaBackAt(event);
  for (const [reason, count] of countReasons(skipped)) {
    const until = reason === 'quota' && back !== undefined ? `; it comes back at ${timeOf(back, new Date())}` : '';
    writer.log(`  skipped: ${count}: ${reasonTexts[reason]}${until}`);
  }
}

/** When what was skipped for its quota can be had, where that is known. */
export function quotaBackAt({ skipped }: Pick<CompletionEvent, 'skipped'>): Date | undefined {
  const times = skipped.flatMap(({ until }) => (until === undefined ? [] : [Date.parse(until)]));
  return times.length === 0 ? undefined : new Date(Math.max(...times));
}

type SkipReason = CompletionEvent['skipped'][number]['reason'];

const reasonTexts: Readonly<Record<SkipReason, string>> = {
  quota: "the provider's quota is used up",
  deadline: 'the time for the request was over',
  canceled: 'the run was stopped',
};

function countReasons(skipped: CompletionEvent['skipped']): Map<SkipReason, number> {
  const counts = new Map<SkipReason, number>();
  for (const { reason } of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return counts;
}
