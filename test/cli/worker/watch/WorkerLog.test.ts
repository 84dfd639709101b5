import { describe, expect, it } from 'vitest';
import { WorkerLog } from '../../../../src/cli/worker/watch/WorkerLog.ts';
import { BrokerError, PipelineError, RequestError, SinkError } from '../../../../src/model/errors.ts';
import type { WorkerEvent } from '../../../../src/model/workerEvents.ts';

const start = Date.UTC(2026, 10, 24, 14, 3);
const key = 'MARKET_DATA_UPDATE_REQUEST-0-17-1764000000000';
const place = { topic: 'MARKET_DATA_UPDATE_REQUEST', partition: 0 };
const away = new SinkError('database_unavailable', 'no connection', { retryable: true });

const open = () => {
  const lines: string[] = [];
  let now = start;
  const log = new WorkerLog({ writer: { log: (line) => void lines.push(line) }, now: () => now });
  return { log, lines, pass: (milliseconds: number) => (now += milliseconds) };
};

describe('a line of the worker', () => {
  it.each<[string, WorkerEvent]>([
    [
      'partition MARKET_DATA_UPDATE_REQUEST-0: owned from offset 12, 3 after it done',
      { type: 'partition-owned', place, offset: 12n, announced: 3 },
    ],
    ['partition MARKET_DATA_UPDATE_REQUEST-0: lost', { type: 'partition-lost', place, open: 0 }],
    [
      'partition MARKET_DATA_UPDATE_REQUEST-0: lost, 2 requests left to its next owner',
      { type: 'partition-lost', place, open: 2 },
    ],
    [
      'partition MARKET_DATA_UPDATE_REQUEST-0: waiting for Kafka, again in 250 ms: no connection',
      { type: 'partition-waiting', place, error: away, delayMs: 250 },
    ],
    [
      'partition MARKET_DATA_UPDATE_REQUEST-0: held at offset 17, the others go on: snappy: it is broken',
      {
        type: 'partition-held',
        place: { ...place, offset: 17n },
        error: new BrokerError('undecodable', 'snappy: it is broken'),
      },
    ],
    ['partition MARKET_DATA_UPDATE_REQUEST-0: goes on', { type: 'partition-released', place, isLost: false }],
    ['kafka: the group is lost, joining again: no connection', { type: 'interrupted', error: away }],
    [
      `request ${key}: accepted, 3 symbols in 1 batch`,
      { type: 'request-accepted', key, place: { ...place, offset: 17n }, inputs: 3, batches: 1, isShared: false },
    ],
    [
      `request ${key}: accepted, 2100 symbols in 21 batches, 5 of them done before, shared with all workers`,
      {
        type: 'request-accepted',
        key,
        place: { ...place, offset: 17n },
        inputs: 2_100,
        batches: 21,
        storedBatches: 5,
        isShared: true,
      },
    ],
    [`request ${key}: again in 500 ms: no connection`, { type: 'request-retried', key, error: away, delayMs: 500 }],
    [
      `request ${key}: in quarantine, nothing beside it: 2 processes ended with it before`,
      { type: 'request-quarantined', key, lost: 2 },
    ],
    [
      `request ${key}: batch 5 in quarantine, nothing beside it: 1 process ended with it before`,
      { type: 'request-quarantined', key, batch: 4, lost: 1 },
    ],
    [`request ${key}: partial in 1.2 s`, { type: 'request-announced', key, status: 'partial', durationMs: 1_200 }],
    [
      `request ${key}: dead letter: request_malformed: expected JSON, got "a  [31m b"`,
      {
        type: 'dead-lettered',
        key,
        place: { ...place, offset: 17n },
        error: new RequestError('request_malformed', 'expected JSON, got "a\n\u001B[31m\r\nb"'),
      },
    ],
    [`request ${key}: batch 5 done here`, { type: 'part-done', key, batch: 4 }],
    [
      `request ${key}: batch 5 given up here: no progress`,
      { type: 'part-done', key, batch: 4, error: new PipelineError('timeout', 'no progress') },
    ],
  ])('%s', (text, event) => {
    const { log, lines } = open();
    log.next(event);
    expect(lines).toEqual([`2026-11-24T14:03:00.000Z ${text}`]);
  });

  it('says of an answer what became of its symbols, as long as it is being announced', () => {
    const { log, lines } = open();
    const entry = { symbol: 'NOPE', stage: 'fetch', reason: 'symbol_unknown', message: 'unknown' } as const;
    const forget = log.expect(key, {
      status: 'partial',
      totalBatches: 1,
      totalAssets: 4,
      totalTransactions: 1,
      processingTimeMs: 100,
      assets: [],
      failed: [entry],
      skipped: [{ symbol: 'LATE', reason: 'quota' }],
      requestId: 'r',
    });
    const announced: WorkerEvent = { type: 'request-announced', key, status: 'partial', durationMs: 120 };
    log.next(announced);
    forget();
    log.next(announced);

    expect(lines.map((line) => line.slice(25))).toEqual([
      `request ${key}: partial: 2 of 4 symbols served, 1 failed, 1 skipped in 120 ms`,
      `request ${key}: partial in 120 ms`,
    ]);
  });

  it('tells of a wait for credits at most twice a minute, and not of a short one', () => {
    const { log, lines, pass } = open();
    const waiting = (inMs: number, credits?: number) => {
      const until = new Date(start + inMs);
      log.onRun('market-data', { type: 'waiting', batch: 0, until, credits, pending: 8 });
    };
    waiting(900, 8);
    waiting(60_000);
    waiting(20_000, 8);
    pass(10_000);
    waiting(60_000, 8);
    pass(20_000);
    waiting(60_000, 1);

    expect(lines.map((line) => line.slice(11, 19) + line.slice(24))).toEqual([
      '14:03:00 market-data: waiting for 8 credits until 14:03:20 UTC',
      '14:03:30 market-data: waiting for 1 credit until 14:04:00 UTC',
    ]);
  });

  it('comes from the client of Kafka only where somebody should look', () => {
    const { log, lines } = open();
    for (const level of ['debug', 'info', 'warn', 'error'] as const) {
      log.onKafka({ level, message: level, from: 'Consumer' });
    }
    expect(lines.map((line) => line.slice(25))).toEqual(['kafka: Consumer: warn', 'kafka: Consumer: error']);
  });
});
