import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { SharedLimiters } from '../../../src/cli/jobs/SharedLimiters.ts';
import { patience } from '../../../src/cli/worker/openPipelines.ts';
import { readMaxMonths } from '../../../src/cli/input/maxMonths.ts';
import { readRunOptions } from '../../../src/cli/input/runOptions.ts';
import { WorkerMetrics } from '../../../src/cli/worker/watch/WorkerMetrics.ts';
import { readWorkOptions } from '../../../src/cli/worker/workOptions.ts';

const today = new Date().toISOString().slice(0, 10);
const month = { start_date: today, end_date: today };
const assets = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ symbol: `S${index}`, asset_type: 'STOCK' }));

// Issue 10, 10.
describe('the bound on months', () => {
  it('comes from the option, else from the variable, else from the library', () => {
    expect(readMaxMonths('run', undefined, {})).toBe(3_000_000);
    expect(readMaxMonths('run', undefined, { HISTORICAL_MAX_MONTHS: '7' })).toBe(7);
    expect(readMaxMonths('run', '8', { HISTORICAL_MAX_MONTHS: '7' })).toBe(8);
  });

  it.each(['0', '1000000001', '-1', '1.5', 'many', ''])('is no %s', (text) => {
    const expected = 'a whole number from 1 to 1000000000';
    expect(() => readMaxMonths('plan', text, {})).toThrow(`plan: --max-months: expected ${expected}, got `);
    expect(() => readMaxMonths('plan', undefined, { HISTORICAL_MAX_MONTHS: text })).toThrow(
      `HISTORICAL_MAX_MONTHS must be ${expected}, but is `,
    );
  });

  it.each([
    ['the option', { 'max-months': '2' }, {}],
    ['the variable', {}, { HISTORICAL_MAX_MONTHS: '2' }],
  ])('is that of a run and of a plan: %s', (_, option, environment) => {
    const options = { symbols: 'A:STOCK', start: today, provider: 'simulated', database: 'memory', ...option };
    const { openJob } = readRunOptions('run', { positionals: ['historical-market-data'], options, environment });
    expect(openJob.prepare({ ...month, assets: assets(2) }).inputs).toHaveLength(2);
    expect(() => openJob.prepare({ ...month, assets: assets(3) })).toThrow('expected at most 2 months of all assets');
  });

  it.each([
    ['the option', { 'max-months': '2' }, {}],
    ['the variable', {}, { HISTORICAL_MAX_MONTHS: '2' }],
  ])('is that of a worker: %s', (_, option, variable) => {
    const environment = { KAFKA_BROKER: 'kafka:9092', ...variable };
    const options = { provider: 'simulated', database: 'memory', ...option };
    const historical = readWorkOptions({ options, environment }).pipelines.find(
      ({ pipeline }) => pipeline === 'historical-market-data',
    );
    const limiters = new SharedLimiters({ lanesOf: () => [], wrap: (limiter) => limiter });
    const topic = historical?.open({
      database: undefined,
      counts: undefined,
      sharing: { limiters, patience },
      tell: () => undefined,
      metrics: new WorkerMetrics(),
      events: new Subject(),
      progressTo: () => undefined,
      waiter: { onAway: () => undefined, onBack: () => undefined },
      handBack: new AbortController().signal,
    }).topic;
    const parse = (count: number) => topic?.parse(Buffer.from(JSON.stringify({ ...month, assets: assets(count) })));
    expect(parse(2)?.inputs).toHaveLength(2);
    expect(() => parse(3)).toThrow('expected at most 2 months of all assets');
  });

  it('is for historical requests only', () => {
    const options = { symbols: 'A:STOCK', database: 'memory', provider: 'simulated', 'max-months': '2' };
    expect(() => readRunOptions('run', { positionals: ['market-data'], options, environment: {} })).toThrow(
      'run: --start, --end and --max-months are for historical-market-data, not for market-data',
    );
  });
});
