import { describe, expect, it } from 'vitest';
import { completionRecords } from '../../../src/kafka/records/completionRecords.ts';
import { ledgerKeyOf } from '../../../src/kafka/records/ledgerKeyOf.ts';
import { RequestError } from '../../../src/model/errors.ts';
import { rejectedRequest } from '../../../src/model/events/rejectedRequest.ts';
import { parseEvent, serializeEvent } from '../../../src/model/events/serializeEvent.ts';
import type { RecordHeader } from '../../../src/model/recordPorts.ts';
import type { PipelineName } from '../../../src/model/requests/request.ts';
import { header, headersOf, requestRecord } from './records.ts';

const key = 'REQUESTS-3-42-1764000000000';
const completionOf = (pipeline: PipelineName) =>
  rejectedRequest(pipeline, new RequestError('request_malformed', 'request: no list'), key);
const completion = completionOf('market-data');
const now = () => Date.UTC(2026, 10, 24);

const recordsFor = (headers: readonly RecordHeader[]) =>
  completionRecords(completion, { topic: 'COMPLETED', key, request: requestRecord({ headers }), now });

describe('the ledger key', () => {
  it('names the record, and the time it was made', () => {
    expect(ledgerKeyOf(requestRecord())).toBe(key);
    expect(ledgerKeyOf(requestRecord({ offset: 2n ** 60n }))).toBe(`REQUESTS-3-${String(2n ** 60n)}-1764000000000`);
  });
});

describe('the record of a completion', () => {
  it('is a CloudEvent whose id and key are the ledger key', () => {
    const [record, ...others] = recordsFor([]);
    expect(others).toEqual([]);
    expect(record).toMatchObject({ topic: 'COMPLETED', key, value: serializeEvent(completion) });
    expect(headersOf(record ?? {})).toEqual([
      ['ce_specversion', '1.0'],
      ['ce_id', key],
      ['ce_type', 'fintrack.market-data.completed'],
      ['ce_source', '/fintrack-pipelines/REQUESTS'],
      ['ce_time', '2026-11-24T00:00:00.000Z'],
      ['content-type', 'application/json'],
    ]);
  });

  it.each(['market-data', 'market-index-data', 'historical-market-data'] as const)(
    'has a type of its own for %s',
    (pipeline) => {
      const [record] = completionRecords(completionOf(pipeline), { topic: 'COMPLETED', key });
      expect(headersOf(record ?? {})).toContainEqual(['ce_type', `fintrack.${pipeline}.completed`]);
      expect(headersOf(record ?? {})).toContainEqual(['ce_source', '/fintrack-pipelines']);
    },
  );

  it('in parts has an id and a key for each, and never an empty value', () => {
    const failed = Array.from({ length: 20_000 }, (_, index) => ({
      ...({ symbol: `S${String(index)}`, stage: 'fetch', reason: 'symbol_unknown', message: 'x'.repeat(80) } as const),
    }));
    const records = completionRecords({ ...completion, failed }, { topic: 'COMPLETED', key });
    expect(records.length).toBeGreaterThan(2);
    const ids = records.map((_, index) => `${key}#${String(index + 1)}`);
    expect(records.map((record) => record.key)).toEqual(ids);
    expect(records.map((record) => new Map(headersOf(record)).get('ce_id'))).toEqual(ids);
    for (const { value } of records) {
      expect(parseEvent(String(value))).toMatchObject({ status: 'failed', parts: records.length });
    }
  });
});

const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const passed = (...headers: RecordHeader[]) =>
  headersOf(recordsFor(headers)[0] ?? {}).filter(([name]) => !/^ce_|^content-type$/.test(name));

describe('the trace of a request', () => {
  it('is passed on to its completion, and no other header is', () => {
    const state = 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE';
    expect(passed(header('traceparent', trace), header('tracestate', state), header('ce_id', 'forged'))).toEqual([
      ['traceparent', trace],
      ['tracestate', state],
    ]);
    expect(headersOf(recordsFor([header('ce_id', 'forged')])[0] ?? {})).not.toContainEqual(['ce_id', 'forged']);
  });

  it.each([
    ['no trace', ''],
    ['another form', 'x'],
    ['an invalid version', trace.replace(/^00/, 'ff')],
    ['a trace id of zeros', trace.replace('4bf92f3577b34da6a3ce929d0e0e4736', '0'.repeat(32))],
    ['a span id of zeros', trace.replace('00f067aa0ba902b7', '0'.repeat(16))],
    ['capitals', trace.toUpperCase()],
    ['more behind it', `${trace}-more`],
    ['a line break', `${trace}\n`],
    ['a header behind a line break', `${trace}\r\nce_id: forged`],
    ['a megabyte', trace + 'x'.repeat(1_000_000)],
  ])('is left out with %s', (_, value) => {
    expect(passed(header('traceparent', value), header('tracestate', 'a=b'))).toEqual([]);
  });

  it('is left out when there are two', () => {
    expect(passed(header('traceparent', trace), header('traceparent', trace))).toEqual([]);
  });

  it.each([
    ['no form', 'x'],
    ['an empty member', 'a=b,,c=d'],
    ['a control character', 'a=b\u0001'],
    ['33 members', Array.from({ length: 33 }, (_, index) => `k${String(index)}=v`).join(',')],
    ['too many characters', `a=${'x'.repeat(600)}`],
  ])('loses a state of %s', (_, state) => {
    expect(passed(header('traceparent', trace), header('tracestate', state))).toEqual([['traceparent', trace]]);
  });
});
