import { readFile } from 'node:fs/promises';
import { Counter, Gauge, Registry, register } from 'prom-client';
import { concat, filter, from, lastValueFrom, map, NEVER, of, throwError, toArray } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { recordMetrics, recordWorkerMetrics } from '../../src/metrics/index.ts';
import type { Batch } from '../../src/model/batch.ts';
import { PipelineError, ProviderError, SinkError, type ErrorCode } from '../../src/model/errors.ts';
import type { Asset, Quote } from '../../src/model/records.ts';

type QuoteBatch = Batch<Asset, Quote>;
type Outcomes = QuoteBatch['outcomes'];

const asset = (symbol: string): Asset => ({ symbol, assetType: 'STOCK' });
const quote = (symbol: string): Quote => ({
  ...asset(symbol),
  price: '1.0',
  change: '0.1',
  percentChange: '10',
  high: '1.1',
  low: '0.9',
});
const ok = (symbol: string): Outcomes[number] => ({ status: 'ok', input: asset(symbol), value: quote(symbol) });

const unknownSymbol = new ProviderError('symbol_unknown', 'twelve-data: NOPE is unknown');

const first: QuoteBatch = {
  index: 0,
  outcomes: [
    ok('AAPL'),
    ok('MSFT'),
    { status: 'fresh', input: asset('IBM'), value: quote('IBM') },
    { status: 'failed', input: asset('NOPE'), stage: 'fetch', error: unknownSymbol },
  ],
  calls: [
    { provider: 'twelve-data', inputs: 2, credits: 2, durationMs: 20, result: 'ok' },
    { provider: 'twelve-data', inputs: 1, credits: 1, durationMs: 700, result: 'rate_limited' },
  ],
  written: { inserted: 1, updated: 1, unchanged: 0, transactions: 1 },
  durations: { planMs: 1, fetchMs: 740, writeMs: 9 },
};

const second: QuoteBatch = {
  index: 1,
  outcomes: [
    { status: 'failed', input: asset('BAD'), stage: 'write', error: new SinkError('row_rejected', 'BAD') },
    { status: 'skipped', input: asset('LATE'), reason: 'quota' },
  ],
};

const histogram = (name: string, labels: string, bounds: readonly number[], seconds: readonly number[]): string[] => [
  ...bounds.map(
    (bound) => `${name}_bucket{le="${bound}",${labels}} ${seconds.filter((second) => second <= bound).length}`,
  ),
  `${name}_bucket{le="+Inf",${labels}} ${seconds.length}`,
  `${name}_sum{${labels}} ${seconds.reduce((sum, second) => sum + second, 0)}`,
  `${name}_count{${labels}} ${seconds.length}`,
];

async function metricsOf(...batches: readonly QuoteBatch[]): Promise<string> {
  const registry = new Registry();
  await lastValueFrom(from(batches).pipe(recordMetrics({ registry, pipeline: 'market-data' }), toArray()));
  return registry.metrics();
}

describe('recordMetrics', () => {
  it('counts everything that is known of a batch', async () => {
    expect((await metricsOf(first, second)).split('\n')).toEqual([
      '# HELP fintrack_batches_total Batches processed.',
      '# TYPE fintrack_batches_total counter',
      'fintrack_batches_total{pipeline="market-data"} 2',
      '',
      '# HELP fintrack_symbols_total Symbols processed, by outcome.',
      '# TYPE fintrack_symbols_total counter',
      'fintrack_symbols_total{pipeline="market-data",outcome="ok"} 2',
      'fintrack_symbols_total{pipeline="market-data",outcome="fresh"} 1',
      'fintrack_symbols_total{pipeline="market-data",outcome="failed"} 2',
      'fintrack_symbols_total{pipeline="market-data",outcome="skipped"} 1',
      '',
      '# HELP fintrack_symbol_failures_total Symbols that failed, by stage and error code.',
      '# TYPE fintrack_symbol_failures_total counter',
      'fintrack_symbol_failures_total{pipeline="market-data",stage="fetch",code="symbol_unknown"} 1',
      'fintrack_symbol_failures_total{pipeline="market-data",stage="write",code="row_rejected"} 1',
      '',
      '# HELP fintrack_rows_total Rows of stored batches, by what the sink did with them.',
      '# TYPE fintrack_rows_total counter',
      'fintrack_rows_total{pipeline="market-data",action="inserted"} 1',
      'fintrack_rows_total{pipeline="market-data",action="updated"} 1',
      'fintrack_rows_total{pipeline="market-data",action="unchanged"} 0',
      '',
      '# HELP fintrack_transactions_total Committed database transactions.',
      '# TYPE fintrack_transactions_total counter',
      'fintrack_transactions_total{pipeline="market-data"} 1',
      '',
      '# HELP fintrack_provider_calls_total Calls to a provider, by result.',
      '# TYPE fintrack_provider_calls_total counter',
      'fintrack_provider_calls_total{pipeline="market-data",provider="twelve-data",result="ok"} 1',
      'fintrack_provider_calls_total{pipeline="market-data",provider="twelve-data",result="rate_limited"} 1',
      '',
      '# HELP fintrack_provider_credits_total Credits spent on calls to a provider.',
      '# TYPE fintrack_provider_credits_total counter',
      'fintrack_provider_credits_total{pipeline="market-data",provider="twelve-data"} 3',
      '',
      '# HELP fintrack_provider_call_duration_seconds Duration of a call to a provider.',
      '# TYPE fintrack_provider_call_duration_seconds histogram',
      ...histogram(
        'fintrack_provider_call_duration_seconds',
        'pipeline="market-data",provider="twelve-data"',
        [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
        [0.02, 0.7],
      ),
      '',
      '# HELP fintrack_batch_processing_seconds Processing time of a batch: planning, fetching (waits for credits included) and writing.',
      '# TYPE fintrack_batch_processing_seconds histogram',
      ...histogram(
        'fintrack_batch_processing_seconds',
        'pipeline="market-data"',
        [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 3600],
        [0.75, 0],
      ),
      '',
    ]);
  });

  it('shows the counters of a pipeline as 0 before its first batch', async () => {
    const text = await metricsOf();

    expect(text).toContain('fintrack_batches_total{pipeline="market-data"} 0');
    expect(text).toContain('fintrack_symbols_total{pipeline="market-data",outcome="failed"} 0');
    expect(text).toContain('fintrack_rows_total{pipeline="market-data",action="inserted"} 0');
  });

  it('has no series that grows with the symbols', async () => {
    const batchOf = (prefix: string, size: number): QuoteBatch => ({
      ...first,
      outcomes: Array.from({ length: size }, (_, index): Outcomes[number] =>
        index % 2 === 0
          ? ok(`${prefix}${index}`)
          : { status: 'failed', input: asset(`${prefix}${index}`), stage: 'fetch', error: unknownSymbol },
      ),
    });
    const seriesOf = (text: string): string[] => text.split('\n').map((line) => line.replace(/ [\d.e+-]+$/, ''));

    const few = seriesOf(await metricsOf(batchOf('A', 2)));
    const many = seriesOf(await metricsOf(...Array.from({ length: 50 }, (_, index) => batchOf(`B${index}-`, 100))));

    expect(many).toEqual(few);
    expect(many.join('\n')).not.toMatch(/B1-|symbol=|job=/);
  });

  it('counts a code that this library does not know as internal', async () => {
    const error = new PipelineError('NOPE-4711' as ErrorCode, 'made up by an adapter');
    const text = await metricsOf({
      index: 0,
      outcomes: [{ status: 'failed', input: asset('A'), stage: 'fetch', error }],
      calls: [{ provider: 'own', inputs: 1, credits: 1, durationMs: 1, result: 'HTTP 500 at /quote?symbol=A' }],
    });

    expect(text).toContain('fintrack_symbol_failures_total{pipeline="market-data",stage="fetch",code="internal"} 1');
    expect(text).toContain('fintrack_provider_calls_total{pipeline="market-data",provider="own",result="internal"} 1');
    expect(text).not.toContain('4711');
  });

  it('counts what is still pending as skipped', async () => {
    const text = await metricsOf({ index: 0, outcomes: [{ status: 'pending', input: asset('A') }] });

    expect(text).toContain('fintrack_symbols_total{pipeline="market-data",outcome="skipped"} 1');
  });

  it('shares the metrics of a registry between operators, each under its own pipeline', async () => {
    const registry = new Registry();
    const run = (pipeline: string) => lastValueFrom(from([first]).pipe(recordMetrics({ registry, pipeline })));

    await Promise.all([run('market-data'), run('market-data'), run('own')]);

    const text = await registry.getSingleMetricAsString('fintrack_batches_total');
    expect(text).toContain('fintrack_batches_total{pipeline="market-data"} 2');
    expect(text).toContain('fintrack_batches_total{pipeline="own"} 1');
  });

  it('keeps registries apart, and leaves the global one alone', async () => {
    const [one, other] = [new Registry(), new Registry()];
    const record = (registry: Registry) => recordMetrics<Asset, Quote>({ registry, pipeline: 'market-data' });
    record(other);

    await lastValueFrom(of(first).pipe(record(one)));

    expect(await one.metrics()).toContain('fintrack_batches_total{pipeline="market-data"} 1');
    expect(await other.metrics()).toContain('fintrack_batches_total{pipeline="market-data"} 0');
    expect(register.getMetricsAsArray()).toEqual([]);
  });

  it.each([
    [
      'of another type',
      (registry: Registry) => new Gauge({ ...taken, labelNames: ['pipeline'], registers: [registry] }),
    ],
    [
      'with other labels',
      (registry: Registry) => new Counter({ ...taken, labelNames: ['job'], registers: [registry] }),
    ],
  ])('refuses a registry that has a metric %s under one of its names', (_, create) => {
    const registry = new Registry();
    create(registry);

    expect(() => recordMetrics({ registry, pipeline: 'market-data' })).toThrow(
      "recordMetrics: registry: expected no other metric 'fintrack_batches_total' on it, got one",
    );
  });

  it.each([
    [{ registry: {}, pipeline: 'a' }, 'recordMetrics: registry: expected a Registry of prom-client, got an object'],
    [{ registry: new Registry(), pipeline: '' }, /^recordMetrics: pipeline: .*, got ""$/],
    [{ registry: new Registry(), pipeline: 'a', job: 'b' }, "recordMetrics: unknown option 'job'"],
  ])('refuses bad options: %#', (options, message) => {
    expect(() => recordMetrics(options as never)).toThrow(message);
  });

  it('passes batches, complete, error and unsubscribe through, in any pipeline', () => {
    const record = () => recordMetrics<Asset, Quote>({ registry: new Registry(), pipeline: 'own' });
    const values = { a: first, b: second };

    new TestScheduler((actual, expected) => {
      expect(actual).toEqual(expected);
    }).run(({ cold, expectObservable, expectSubscriptions }) => {
      for (const [source, result] of [
        ['|      ', '|      '],
        ['(a|)   ', '(a|)   '],
        ['-a-b-|', '-a-b-| '],
        ['-------', '-------'],
        ['-a-#   ', '-a-#   '],
      ] as const) {
        expectObservable(cold(source, values).pipe(record())).toBe(result, values);
      }
      const left = cold('-a-b-a-|', values);
      expectObservable(left.pipe(record()), '----!').toBe('-a-b', values);
      expectSubscriptions(left.subscriptions).toBe('^---!');
    });
  });

  it('works between operators of the user’s own and counts what reaches it only', async () => {
    const registry = new Registry();

    const failures = await lastValueFrom(
      concat(of(first, second)).pipe(
        filter(({ index }) => index === 1),
        recordMetrics({ registry, pipeline: 'own' }),
        map(({ outcomes }) => outcomes.length),
      ),
    );

    expect(failures).toBe(2);
    expect(await registry.metrics()).toContain('fintrack_batches_total{pipeline="own"} 1');
  });

  it('counts what came before an error', async () => {
    const registry = new Registry();
    const broken = concat(
      of(first),
      throwError(() => new Error('upstream')),
      NEVER,
    );

    await expect(lastValueFrom(broken.pipe(recordMetrics({ registry, pipeline: 'own' })))).rejects.toThrow('upstream');
    expect(await registry.metrics()).toContain('fintrack_batches_total{pipeline="own"} 1');
  });
});

const taken = { name: 'fintrack_batches_total', help: 'Of somebody else.' };

/** A registry with all there is, in the order of the documentation. */
function everyMetric(): Registry {
  const registry = new Registry();
  recordMetrics({ registry, pipeline: 'market-data' });
  recordWorkerMetrics({ registry, topics: [] });
  return registry;
}

describe('docs/metrics.md', () => {
  it('lists every metric with its type, labels and help, and no other', async () => {
    const registry = everyMetric();
    const rows = (await registry.getMetricsAsJSON()).map(({ name, help, type }) => {
      const { labelNames } = registry.getSingleMetric(name) as unknown as { labelNames: string[] };
      const labels = labelNames.filter((label) => label !== 'le').map((label) => `\`${label}\``);
      return `| \`${name}\` | ${String(type)} | ${labels.join(', ')} | ${help} |`;
    });

    const documented = (await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('| `fintrack_'));

    expect(documented).toEqual(rows);
  });

  it('names metrics as Prometheus wants them', async () => {
    const forms: Readonly<Record<string, RegExp>> = {
      counter: /^fintrack_[a-z_]+_total$/,
      histogram: /^fintrack_[a-z_]+_seconds$/,
      gauge: /^fintrack_[a-z_]+(?<!_total|_seconds)$/,
    };
    for (const { name, type } of await everyMetric().getMetricsAsJSON())
      expect(name).toMatch(forms[String(type)] ?? '');
  });
});
