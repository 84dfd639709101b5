import type { Provider } from '../../model/ports.ts';
import { settleWaiting } from './askSettle.ts';
import type { Entry } from './inputQueue.ts';
import type { SharedCall } from './sharedCalls.ts';
import type { BatchInTurn } from './turn.ts';

/** After a shorter wait nobody else can have fetched much, and asking would cost a query. */
const settleAfterMs = 1_000;

export function costOf<I>(provider: Provider<I, unknown>, entries: readonly Entry<I>[]): number {
  return provider.cost(entries.map(({ input }) => input));
}

/** What a call of the batch would ask for if it got all the credits it can use: what waits, its own first. */
export function whatFits<I, T>(batch: BatchInTurn<I, T>): readonly Entry<I>[] {
  const { maxBatchSize } = batch.settings.provider;
  const entries = [...batch.queue.waiting(maxBatchSize)];
  for (const { queue } of companionsOf(batch, entries)) {
    if (entries.length >= maxBatchSize) break;
    entries.push(...queue.waiting(maxBatchSize - entries.length));
  }
  return entries;
}

/** Asks, of each batch of which a call with so many credits would take inputs, what has become fresh while it waited. */
export async function settleBefore<I, T>(batch: BatchInTurn<I, T>, credits: number): Promise<void> {
  const { settings, queue, signal } = batch;
  const { provider } = settings;
  await settle(batch, signal);
  if (queue.first === undefined) return;
  const entries = [...queue.waiting(provider.maxBatchSize)];
  for (const other of companionsOf(batch, entries)) {
    if (signal.aborted || entries.length >= provider.maxBatchSize || costOf(provider, entries) >= credits) return;
    await settle(other, AbortSignal.any([signal, other.signal]));
    other.proceed();
    entries.push(...other.queue.waiting(provider.maxBatchSize));
  }
}

/** Adds to a call what other batches wait for, as far as it and its credits have room. */
export function fill<I, T>(batch: BatchInTurn<I, T>, call: SharedCall<I, T>, credits: number): void {
  const { provider, state } = batch.settings;
  const companions = companionsOf(batch, call.entries);
  for (const other of companions) {
    const most = provider.maxBatchSize - call.entries.length;
    const taken = other.queue.take(most, credits, (run) => costOf(provider, [...call.entries, ...run]));
    state.calls.extend(call, other.receiver, other.missing(taken));
  }
  for (const other of companions) other.proceed();
}

/**
 * The batches whose inputs may come along in a call of this one, the lowest first: those of the same request in the same lane,
 * so that no request pays or waits for another. A batch that fits a call has that for itself, and only what is left of one
 * that was cut takes others along; what is tried again goes by itself, so that what fails a call fails few others.
 */
function companionsOf<I, T>(
  { call: { request, lane, batch }, settings, queue: { isCut }, receiver }: BatchInTurn<I, T>,
  entries: readonly Entry<I>[],
): readonly BatchInTurn<I, T>[] {
  if (batch === undefined || !isCut || entries.some(({ failures, most }) => failures > 0 || most !== undefined))
    return [];
  return settings.state
    .batches()
    .filter(
      ({ call, queue }) =>
        call.request === request && call.lane === lane && queue.first?.failures === 0 && queue.first.most === undefined,
    )
    .filter((other) => other.receiver !== receiver && other.call.batch !== undefined)
    .sort((one, other) => (one.call.batch ?? 0) - (other.call.batch ?? 0));
}

async function settle<I, T>(batch: BatchInTurn<I, T>, signal: AbortSignal): Promise<void> {
  const { settings, call, queue, results } = batch;
  const isKnown = performance.now() - batch.knownAt < settleAfterMs;
  if (isKnown || call.settle === undefined || queue.first === undefined) return;
  await settleWaiting(call, queue, results, { ...settings, signal });
  if (!signal.aborted) batch.knownAt = performance.now();
}
