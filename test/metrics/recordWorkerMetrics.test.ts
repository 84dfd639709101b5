import { Counter, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { recordMetrics, recordWorkerMetrics, type RecordWorkerMetricsOptions } from '../../src/metrics/index.ts';
import { BrokerError, PipelineError, ProviderError, RequestError, SinkError } from '../../src/model/errors.ts';
import type { ErrorCode } from '../../src/model/errors.ts';
import type { ProviderHealth } from '../../src/model/ports.ts';
import type { WorkerEvent } from '../../src/model/workerEvents.ts';

const market = { topic: 'MARKET-REQUEST', workTopic: 'MARKET-WORK', pipeline: 'market-data' };
const index = { topic: 'INDEX-REQUEST', pipeline: 'market-index-data' };

const placeOf = (topic: string, partition = 0) => ({ topic, partition });
const keyOf = (offset: number, topic = market.topic, partition = 0): string =>
  `${topic}-${partition}-${offset}-1764000000000`;

function accepted(offset: number, topic = market.topic, partition = 0): WorkerEvent {
  const place = { topic, partition, offset: BigInt(offset) };
  return {
    type: 'request-accepted',
    key: keyOf(offset, topic, partition),
    place,
    inputs: 3,
    batches: 1,
    isShared: false,
  };
}

function announced(offset: number, status: 'complete' | 'partial' | 'failed', durationMs = 100): WorkerEvent {
  return { type: 'request-announced', key: keyOf(offset), status, durationMs };
}

function deadLettered(offset: number, error: PipelineError, topic = market.topic): WorkerEvent {
  return {
    type: 'dead-lettered',
    key: keyOf(offset, topic),
    place: { ...placeOf(topic), offset: BigInt(offset) },
    error,
  };
}

const owned = (topic: string, partition = 0): WorkerEvent => ({
  type: 'partition-owned',
  place: placeOf(topic, partition),
  offset: 0n,
  announced: 0,
});
const lost = (topic: string, partition = 0): WorkerEvent => ({
  type: 'partition-lost',
  place: placeOf(topic, partition),
  open: 1,
});
const away = new SinkError('database_unavailable', 'away', { retryable: true });

function open(options: Partial<RecordWorkerMetricsOptions> = {}) {
  const registry = new Registry();
  const observer = recordWorkerMetrics({ registry, topics: [market, index], ...options });
  return {
    registry,
    record: (...events: readonly WorkerEvent[]): void => {
      for (const event of events) observer.next(event);
    },
    /** The samples of a metric, without its comments. */
    samples: async (name: string): Promise<string[]> =>
      (await registry.getSingleMetricAsString(name)).split('\n').filter((line) => !line.startsWith('#') && line !== ''),
  };
}

describe('recordWorkerMetrics', () => {
  it('counts requests from their acceptance to their answer, by pipeline', async () => {
    const { record, samples } = open();
    record(accepted(1), accepted(2), accepted(3), accepted(1, index.topic), announced(1, 'complete'));
    record(announced(2, 'partial', 2_000));
    expect(await samples('fintrack_requests_open')).toEqual([
      'fintrack_requests_open{pipeline="market-data"} 1',
      'fintrack_requests_open{pipeline="market-index-data"} 1',
    ]);
    expect(await samples('fintrack_requests_accepted_total')).toEqual([
      'fintrack_requests_accepted_total{pipeline="market-data"} 3',
      'fintrack_requests_accepted_total{pipeline="market-index-data"} 1',
    ]);
    expect(await samples('fintrack_requests_announced_total')).toEqual([
      'fintrack_requests_announced_total{pipeline="market-data",status="complete"} 1',
      'fintrack_requests_announced_total{pipeline="market-data",status="partial"} 1',
      'fintrack_requests_announced_total{pipeline="market-data",status="failed"} 0',
      'fintrack_requests_announced_total{pipeline="market-index-data",status="complete"} 0',
      'fintrack_requests_announced_total{pipeline="market-index-data",status="partial"} 0',
      'fintrack_requests_announced_total{pipeline="market-index-data",status="failed"} 0',
    ]);
    const seconds = await samples('fintrack_request_duration_seconds');
    expect(seconds).toContain('fintrack_request_duration_seconds_bucket{le="0.1",pipeline="market-data"} 1');
    expect(seconds).toContain('fintrack_request_duration_seconds_bucket{le="2.5",pipeline="market-data"} 2');
    expect(seconds).toContain('fintrack_request_duration_seconds_sum{pipeline="market-data"} 2.1');
    expect(seconds).toContain('fintrack_request_duration_seconds_count{pipeline="market-index-data"} 0');
  });

  // issue 10, 8
  it('counts the partitions that are held by what cannot be decoded', async () => {
    const { record, samples } = open();
    const held = (topic: string, offset: bigint, partition = 0): WorkerEvent => ({
      type: 'partition-held',
      place: { ...placeOf(topic, partition), offset },
      error: new BrokerError('undecodable', 'broken'),
    });
    const released = (topic: string, isLost: boolean): WorkerEvent => ({
      type: 'partition-released',
      place: placeOf(topic),
      isLost,
    });
    const numbers = async () => (await samples('fintrack_partitions_held')).map((sample) => sample.slice(24));
    expect(await numbers()).toEqual([
      '{topic="MARKET-REQUEST"} 0',
      '{topic="MARKET-WORK"} 0',
      '{topic="INDEX-REQUEST"} 0',
    ]);
    record(held(market.topic, 1n), held(market.topic, 2n), held(market.topic, 1n, 1), held(index.topic, 1n));
    expect(await numbers()).toEqual([
      '{topic="MARKET-REQUEST"} 2',
      '{topic="MARKET-WORK"} 0',
      '{topic="INDEX-REQUEST"} 1',
    ]);
    record(released(market.topic, false), released(market.topic, true), released(index.topic, true));
    expect(await numbers()).toEqual([
      '{topic="MARKET-REQUEST"} 1',
      '{topic="MARKET-WORK"} 0',
      '{topic="INDEX-REQUEST"} 0',
    ]);
  });

  it('counts a request that is tried again once, and a record that was never a request not as open', async () => {
    const { record, samples } = open();
    const retried: WorkerEvent = { type: 'request-retried', key: keyOf(1), error: away, delayMs: 250 };
    record(accepted(1), retried, accepted(1), retried, accepted(1));
    record(deadLettered(7, new RequestError('request_malformed', 'no request')));
    expect(await samples('fintrack_requests_accepted_total')).toContain(
      'fintrack_requests_accepted_total{pipeline="market-data"} 1',
    );
    expect(await samples('fintrack_requests_open')).toContain('fintrack_requests_open{pipeline="market-data"} 1');
    expect(await samples('fintrack_request_retries_total')).toEqual([
      'fintrack_request_retries_total{pipeline="market-data",code="database_unavailable"} 2',
    ]);
    record(deadLettered(1, new PipelineError('timeout', 'no progress')), announced(1, 'failed'));
    expect(await samples('fintrack_requests_open')).toContain('fintrack_requests_open{pipeline="market-data"} 0');
    expect(await samples('fintrack_dead_letters_total')).toEqual([
      'fintrack_dead_letters_total{pipeline="market-data",code="request_malformed"} 1',
      'fintrack_dead_letters_total{pipeline="market-data",code="timeout"} 1',
    ]);
  });

  // Issue 10, item 10.
  it('counts what is started in quarantine, requests and parts', async () => {
    const { record, samples } = open();
    record({ type: 'request-quarantined', key: keyOf(1), lost: 2 });
    record({ type: 'request-quarantined', key: keyOf(1), batch: 4, lost: 3 });
    expect(await samples('fintrack_requests_quarantined_total')).toEqual([
      'fintrack_requests_quarantined_total{pipeline="market-data"} 2',
      'fintrack_requests_quarantined_total{pipeline="market-index-data"} 0',
    ]);
  });

  it('counts partitions, and takes what was open in one that is lost along', async () => {
    const { record, samples } = open();
    record(owned(market.topic), owned(market.topic, 1), owned(market.topic));
    record(accepted(1), accepted(2), accepted(1, market.topic, 1), lost(market.topic), lost(index.topic));
    expect(await samples('fintrack_partitions_owned')).toEqual([
      'fintrack_partitions_owned{topic="MARKET-REQUEST"} 1',
      'fintrack_partitions_owned{topic="INDEX-REQUEST"} 0',
    ]);
    expect(await samples('fintrack_requests_open')).toContain('fintrack_requests_open{pipeline="market-data"} 1');
    // It comes back with the same requests.
    record(owned(market.topic), accepted(1), announced(1, 'complete'));
    expect(await samples('fintrack_requests_open')).toContain('fintrack_requests_open{pipeline="market-data"} 1');
    expect(await samples('fintrack_requests_accepted_total')).toContain(
      'fintrack_requests_accepted_total{pipeline="market-data"} 4',
    );
  });

  it('counts parts, waits of partitions and interruptions of the group', async () => {
    const { record, samples } = open();
    const error = new BrokerError('broker_unavailable', 'away', { retryable: true });
    record(
      { type: 'part-done', key: keyOf(1), batch: 0 },
      { type: 'part-done', key: keyOf(1), batch: 1, error: new ProviderError('timeout', 'hung') },
      { type: 'partition-waiting', place: placeOf(market.topic), error, delayMs: 100 },
      { type: 'interrupted', error },
    );
    expect(await samples('fintrack_request_parts_total')).toEqual([
      'fintrack_request_parts_total{pipeline="market-data",result="ok"} 1',
      'fintrack_request_parts_total{pipeline="market-index-data",result="ok"} 0',
      'fintrack_request_parts_total{pipeline="market-data",result="timeout"} 1',
    ]);
    expect(await samples('fintrack_partition_waits_total')).toEqual([
      'fintrack_partition_waits_total{topic="MARKET-REQUEST",code="broker_unavailable"} 1',
    ]);
    expect(await samples('fintrack_group_interruptions_total')).toEqual([
      'fintrack_group_interruptions_total{code="broker_unavailable"} 1',
    ]);
  });

  it('has no more series for whatever comes from outside', async () => {
    const { record, registry } = open();
    const strange = new PipelineError('made_up' as ErrorCode, 'strange');
    const seriesCount = async (): Promise<number> =>
      (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
    record(accepted(1, 'T'), deadLettered(1, strange, 'T'), owned('T'), lost('T'));
    const before = await seriesCount();
    for (let number = 0; number < 100; number += 1) {
      const topic = `T${String(number)}`;
      record(accepted(1, topic), deadLettered(1, strange, topic), owned(topic), lost(topic));
    }
    expect(await seriesCount()).toBe(before);
    expect(await registry.metrics()).toContain('fintrack_dead_letters_total{pipeline="other",code="internal"} 101\n');
  });

  it('asks with each scrape how the providers and the database are', async () => {
    let health: readonly ProviderHealth[] = [{ provider: 'twelve-data', state: 'up' }];
    let isWaiting = false;
    const { samples } = open({ health: () => health, isWaiting: () => isWaiting });
    const stateOf = (state: string): string[] =>
      ['up', 'down', 'exhausted', 'refused'].map(
        (name) => `fintrack_provider_state{provider="twelve-data",state="${name}"} ${name === state ? 1 : 0}`,
      );
    expect(await samples('fintrack_provider_state')).toEqual(stateOf('up'));
    expect(await samples('fintrack_database_waiting')).toEqual(['fintrack_database_waiting 0']);
    isWaiting = true;
    health = [
      { provider: 'twelve-data', state: 'exhausted' },
      { provider: 'twelve-data', state: 'up' },
    ];
    expect(await samples('fintrack_provider_state')).toEqual(stateOf('exhausted'));
    expect(await samples('fintrack_database_waiting')).toEqual(['fintrack_database_waiting 1']);
    health = [];
    expect(await samples('fintrack_provider_state')).toEqual([]);
  });

  it('names no provider, and no wait, where nothing is to be asked', async () => {
    const { samples } = open();
    expect(await samples('fintrack_provider_state')).toEqual([]);
    expect(await samples('fintrack_database_waiting')).toEqual(['fintrack_database_waiting 0']);
  });

  it('shares a registry with the pipelines of the worker, and with no other worker', () => {
    const { registry } = open();
    recordMetrics({ registry, pipeline: 'market-data' });
    expect(() => recordWorkerMetrics({ registry, topics: [] })).toThrow(
      "recordWorkerMetrics: registry: expected no other metric 'fintrack_requests_open' on it, got one",
    );
    const taken = new Registry();
    new Counter({ name: 'fintrack_dead_letters_total', help: 'Theirs.', registers: [taken] });
    expect(() => recordWorkerMetrics({ registry: taken, topics: [] })).toThrow("'fintrack_dead_letters_total'");
    expect(() => recordWorkerMetrics({ registry: {} as never, topics: [] })).toThrow('a Registry of prom-client');
  });
});
