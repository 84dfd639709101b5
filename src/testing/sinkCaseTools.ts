import assert from 'node:assert/strict';
import type { Batch } from '../model/batch.ts';
import { PipelineError, ProviderError } from '../model/errors.ts';
import type { OkOutcome, Outcome } from '../model/outcome.ts';
import type { WriteResult } from '../model/ports.ts';
import type { SinkUnderTest } from './sinkContract.ts';

export interface SinkCase<I, T> {
  readonly name: string;
  readonly check: (opened: SinkUnderTest<I, T>) => Promise<void>;
}

/** Older than anything a case stores. */
export const minuteMs = 60_000;

export type Outcomes<I, T> = Batch<I, T>['outcomes'];

export function write<I, T>({ sink }: SinkUnderTest<I, T>, batch: Batch<I, T>): Promise<WriteResult<I, T>> {
  return sink.write(batch, { signal: new AbortController().signal });
}

export async function current<I, T>({ sink }: SinkUnderTest<I, T>, inputs: readonly I[]): Promise<Outcomes<I, T>> {
  assert.ok(sink.current !== undefined, 'the cases need a sink that answers what is fresh');
  return sink.current(inputs, { maxAgeMs: minuteMs, signal: new AbortController().signal });
}

export function firstOf<I, T>({ inputs: [first] }: SinkUnderTest<I, T>): I {
  assert.ok(first !== undefined);
  return first;
}

export function ok<I, T>(opened: SinkUnderTest<I, T>, input: I, version = 1): OkOutcome<I, T> {
  return {
    status: 'ok',
    input,
    value: opened.valueOf(input, version),
    provider: 'contract',
    receivedAtMs: performance.now(),
  };
}

export function failed<I>(input: I): Outcome<I, never> {
  return { status: 'failed', input, stage: 'fetch', error: new ProviderError('symbol_unknown', 'unknown "\0"') };
}

export function everyKind<I, T>(opened: SinkUnderTest<I, T>): Outcome<I, T>[] {
  const [first, second, third, fourth] = opened.inputs;
  assert.ok(first !== undefined && second !== undefined && third !== undefined && fourth !== undefined);
  const fresh: Outcome<I, T> = { status: 'fresh', input: second, value: opened.valueOf(second, 1) };
  return [ok(opened, first), fresh, failed(third), { status: 'skipped', input: fourth, reason: 'deadline' }];
}

export function kindOf(outcome: Outcomes<unknown, unknown>[number]): string {
  if (outcome.status === 'failed') return `${outcome.stage} ${outcome.error.code}`;
  return outcome.status === 'skipped' ? `skipped ${outcome.reason}` : outcome.status;
}

export function valueIn(outcome: Outcomes<unknown, unknown>[number] | undefined): unknown {
  return outcome !== undefined && 'value' in outcome ? outcome.value : undefined;
}

export function isConflict(error: unknown): boolean {
  return PipelineError.isInstance(error) && error.code === 'request_conflict';
}

export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}
