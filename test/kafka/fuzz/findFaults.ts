import type { z } from 'zod';
import { ledgerKeyOf } from '../../../src/kafka/records/ledgerKeyOf.ts';
import type { AnyRequestTopic } from '../../../src/kafka/requests/requestTopic.ts';
import { workReader } from '../../../src/kafka/parts/workRecord.ts';
import { PipelineError } from '../../../src/model/errors.ts';
import type { CompletionEvent } from '../../../src/model/events/completion.ts';
import { historicalMarketDataCompletedSchema } from '../../../src/model/events/historicalMarketDataCompleted.ts';
import { marketDataCompletedSchema } from '../../../src/model/events/marketDataCompleted.ts';
import { marketIndexDataCompletedSchema } from '../../../src/model/events/marketIndexDataCompleted.ts';
import { parseEvent } from '../../../src/model/events/serializeEvent.ts';
import type { RecordHeader, SourceRecord } from '../../../src/model/recordPorts.ts';
import type { PipelineName } from '../../../src/model/requests/request.ts';

const maxBytes = 1_048_576;

const schemas: Record<PipelineName, z.ZodType> = {
  'market-data': marketDataCompletedSchema,
  'market-index-data': marketIndexDataCompletedSchema,
  'historical-market-data': historicalMarketDataCompletedSchema,
};

/** All that a reader of committed records finds of a topic. */
export interface Seen {
  readonly topic: AnyRequestTopic;
  readonly requests: readonly SourceRecord[];
  readonly works: readonly SourceRecord[];
  readonly completions: readonly SourceRecord[];
  readonly deadLetters: readonly SourceRecord[];
}

/** What is wrong with the answers to whatever came on a request topic and its work topic; nothing, mostly. */
export function findFaults({ topic, requests, works, completions, deadLetters }: Seen): string[] {
  const letters = groupBy(deadLetters, placeOfOriginal);
  const events = groupBy(completions, ({ key }) => text(key).split('#')[0] ?? '');
  const keys = new Set(requests.map(ledgerKeyOf));
  const read = workReader(topic, maxBytes);
  return [
    ...[...events.keys()].filter((key) => !keys.has(key)).map((key) => `${key}: answered, and never asked`),
    ...requests.flatMap((record) => {
      const request = attempt(() => topic.parse(record.value));
      const own = letters.get(placeOf(record)) ?? [];
      return [
        ...faultsOfLetters(record, request, own),
        ...faultsOfAnswer(topic.pipeline, record, request, events.get(ledgerKeyOf(record)) ?? []),
      ];
    }),
    ...works.flatMap((record) =>
      faultsOfLetters(
        record,
        attempt(() => read(record)),
        letters.get(placeOf(record)) ?? [],
      ),
    ),
  ];
}

function attempt<Result>(read: () => Result): Result | PipelineError {
  try {
    return read();
  } catch (error) {
    return PipelineError.from(error);
  }
}

/** Exactly one for what cannot be read, with the bytes as they came. */
function faultsOfLetters(record: SourceRecord, read: unknown, found: readonly SourceRecord[]): string[] {
  const expected = PipelineError.isInstance(read) ? 1 : 0;
  if (found.length !== expected) return [`${show(record)}: ${found.length} dead letters, expected ${expected}`];
  return found.flatMap((letter) => [
    ...(isSame(letter.value, record.value) ? [] : [`${show(record)}: the dead letter has another value`]),
    ...(isSame(letter.key, record.key) ? [] : [`${show(record)}: the dead letter has another key`]),
    ...(PipelineError.isInstance(read) && read.code === 'internal' ? [`${show(record)}: ${read.message}`] : []),
  ]);
}

function faultsOfAnswer(
  pipeline: PipelineName,
  record: SourceRecord,
  request: ReturnType<AnyRequestTopic['parse']> | PipelineError,
  found: readonly SourceRecord[],
): string[] {
  const events = found.map(({ value }) => parseEvent(text(value)) as CompletionEvent);
  const [event] = events;
  if (event === undefined || (event.parts ?? 1) !== found.length)
    return [`${show(record)}: ${found.length} completions`];
  const faults = events
    .flatMap((each) => schemas[pipeline].safeParse(each).error?.issues ?? [])
    .map(({ message }) => message);
  for (const [at, { headers }] of found.entries()) {
    // The parts of one have keys of their own, and so no order among them.
    const part = events[at]?.part;
    faults.push(...faultsOfHeaders(record, headers, part === undefined ? '' : `#${part}`));
  }
  const names = events.flatMap(namesIn);
  if (/[\p{Cc}\p{Cs}]/u.test(names.join(''))) faults.push('a symbol that cannot be printed');
  if (PipelineError.isInstance(request)) {
    if (event.status !== 'failed' || event.errorType !== request.code)
      faults.push(`status ${event.status} ${event.errorType}`);
  } else {
    const expected = [...request.inputs, ...request.refused].map((each) => name(each as Named));
    if (expected.sort().join('\n') !== names.sort().join('\n')) faults.push('not each symbol once');
    if (new Set(expected).size !== expected.length) faults.push('a symbol twice');
    const total = 'totalSymbols' in event ? event.totalSymbols : event.totalAssets;
    if (total !== expected.length) faults.push(`a total of ${total} symbols`);
  }
  return faults.map((fault) => `${show(record)}: ${fault}: ${text(found[0]?.value ?? null).slice(0, 300)}`);
}

/** Of the headers of a request only a trace is passed on. */
function faultsOfHeaders(record: SourceRecord, headers: readonly RecordHeader[], part: string): string[] {
  const values = (wanted: string): string[] =>
    headers.filter(({ name }) => name === wanted).map(({ value }) => text(value));
  const faults: string[] = [];
  const ours = /^(ce_(specversion|id|type|source|time)|content-type|traceparent|tracestate)$/;
  for (const { name } of headers) if (!ours.test(name)) faults.push(`a header ${name}`);
  if (values('ce_id').join() !== ledgerKeyOf(record) + part) faults.push(`a ce_id ${values('ce_id').join()}`);
  if (!values('traceparent').every((trace) => /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/.test(trace))) {
    faults.push('a traceparent that is none');
  }
  return faults;
}

interface Named {
  readonly symbol: string;
  readonly asset_type?: string;
  readonly assetType?: string;
}

function name({ symbol, asset_type, assetType = asset_type }: Named): string {
  return `${symbol} ${assetType ?? ''}`;
}

/** The symbols of an event, as often as it names them. */
function namesIn(event: CompletionEvent): string[] {
  const served = ('totalSymbols' in event ? event.symbols : event.assets) ?? [];
  return [...served, ...event.failed, ...event.skipped].map((each) => name(each as Named));
}

function placeOf({ topic, partition, offset }: SourceRecord): string {
  return `${topic}-${partition}-${offset}`;
}

/** Of several headers of one name, the last one is ours. */
function placeOfOriginal({ headers }: SourceRecord): string {
  const last = (wanted: string): Buffer =>
    Buffer.from(headers.findLast(({ name }) => name === `kafka_dlt-original-${wanted}`)?.value ?? '');
  return `${last('topic').toString()}-${last('partition').readInt32BE()}-${last('offset').readBigInt64BE()}`;
}

function groupBy(
  records: readonly SourceRecord[],
  keyOf: (record: SourceRecord) => string,
): Map<string, SourceRecord[]> {
  const groups = new Map<string, SourceRecord[]>();
  for (const record of records) {
    const key = keyOf(record);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [record]);
    else group.push(record);
  }
  return groups;
}

function isSame(one: Uint8Array | null, other: Uint8Array | null): boolean {
  return one === null || other === null ? one === other : Buffer.compare(one, other) === 0;
}

function show(record: SourceRecord): string {
  return `${placeOf(record)} ${JSON.stringify(text(record.value)).slice(0, 300)}`;
}

function text(bytes: Uint8Array | null): string {
  return Buffer.from(bytes ?? '').toString();
}
