import { lastValueFrom } from 'rxjs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { creditLimiter, type CreditLimiterOptions } from '../../src/limits/creditLimiter.ts';
import { limited } from '../../src/limits/limited.ts';
import { memoryBus } from '../../src/memory/memoryBus.ts';
import { memorySink, type MemorySink } from '../../src/memory/memorySink.ts';
import { OptionsError, PipelineError, RequestError, SinkError } from '../../src/model/errors.ts';
import type { ProgressEvent } from '../../src/model/events/progress.ts';
import type { Fetcher, Publisher, Sink } from '../../src/model/ports.ts';
import type { Asset, Quote } from '../../src/model/records.ts';
import type { RunEvent } from '../../src/model/runEvents.ts';
import { parseMarketDataRequest, type MarketDataRequest } from '../../src/model/requests/marketDataRequest.ts';
import { fromRequest } from '../../src/pipelines/fromRequest.ts';
import { marketData } from '../../src/pipelines/marketData.ts';
import { plan, type PlanOptions } from '../../src/pipelines/plan.ts';
import { simulatedQuotes } from '../../src/providers/simulated/simulatedQuotes.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 24, 14, 0, 13) });
});

const requestOf = (count: number, first = 0): MarketDataRequest =>
  parseMarketDataRequest({
    assets: Array.from({ length: count }, (_, index) => ({ symbol: `S${String(first + index)}`, asset_type: 'STOCK' })),
  });

function open(options: CreditLimiterOptions, latencyMs = 150) {
  const fetcher = limited(simulatedQuotes({ latencyMs }), creditLimiter(options));
  const sink = memorySink<Asset, Quote>();
  return { fetcher, sink };
}

interface Run {
  readonly request: MarketDataRequest;
  readonly key?: string;
  readonly signal?: AbortSignal;
  readonly progress?: Publisher<ProgressEvent>;
}

/** Runs the request on the virtual clock; answers the time it took and the calls it made. */
async function run({ fetcher, sink }: ReturnType<typeof open>, { request, key, signal, progress }: Run) {
  const startedAt = Date.now();
  const calls: number[] = [];
  const events = {
    next: (event: RunEvent) => {
      if (event.type === 'provider-call') calls.push(event.call.credits);
    },
  };
  const deliveries = fromRequest(request, { key, signal, ledger: key === undefined ? undefined : sink.ledger });
  let isDone = false;
  const completed = lastValueFrom(deliveries.pipe(marketData({ fetcher, sink, events, progress }))).finally(
    () => (isDone = true),
  );
  while (!isDone) await vi.advanceTimersByTimeAsync(100);
  return { completion: await completed, tookMs: Date.now() - startedAt, calls };
}

const untilDone = ({ doneAt }: { readonly doneAt?: Date | undefined }) => (doneAt?.getTime() ?? NaN) - Date.now();

/** How far the planned time was from the real one. */
const errorOf = (plannedMs: number, tookMs: number) => Math.abs(plannedMs - tookMs) / tookMs;

describe('plan, the time', () => {
  it.each<[string, number, CreditLimiterOptions, number?]>([
    ['100 symbols on 8 a minute', 100, { credits: 8 }],
    ['2,000 symbols on 55 a minute', 2_000, { credits: 55 }],
    ['1,000 symbols on 377 a minute', 1_000, { credits: 377 }],
    [
      '150 symbols on 8 a minute and 20 in 5 minutes',
      150,
      { credits: 8, windows: [{ credits: 20, windowMs: 300_000 }] },
    ],
    ['200 symbols on 8 a minute and 800 a day', 200, { credits: 8, quotas: [{ credits: 800, period: 'day' }] }],
    ['200 symbols on 8 a minute, in three lanes', 200, { credits: 8, lanes: ['market', 'index', 'historical'] }],
    ['200 symbols on 8 a minute, in the lowest lane', 200, { credits: 8, lanes: ['index', 'market'] }],
    ['30 symbols on 2 in 2 s, of a near provider', 30, { credits: 2, windowMs: 2_000 }, 20],
  ])('of %s is within 3 % of the real one, and so are the calls, nearly', async (_, count, options, latencyMs) => {
    const opened = open(options, latencyMs);
    const planned = await plan(requestOf(count), opened);
    const plannedMs = untilDone(planned);
    const { tookMs, calls, completion } = await run(opened, { request: requestOf(count) });
    expect(completion.status).toBe('complete');
    expect(planned.credits).toBe(count);
    expect(errorOf(plannedMs, tookMs)).toBeLessThan(0.03);
    expect(Math.abs((planned.calls ?? 0) - calls.length)).toBeLessThanOrEqual(Math.max(2, calls.length / 10));
  });

  it('of 100 symbols on 8 a minute is 12 minutes, in 13 calls of 13 windows', async () => {
    const planned = await plan(requestOf(100), open({ credits: 8 }));
    expect(planned).toMatchObject({ inputs: 100, toFetch: 100, batches: 1, calls: 13, credits: 100 });
    expect(planned.windows).toMatchObject([{ credits: 8, windowMs: 60_000, left: 8, rounds: 13, lacking: 0 }]);
    expect(Math.round(untilDone(planned) / 60_000)).toBe(12);
  });

  it('counts what is fresh, on a window that is in use', async () => {
    const opened = open({ credits: 8 });
    await run(opened, { request: requestOf(4) });
    const planned = await plan(requestOf(40), { ...opened, maxAgeMs: 600_000 });
    const plannedMs = untilDone(planned);
    const { tookMs } = await run(opened, { request: requestOf(36, 4) });
    expect(planned).toMatchObject({ inputs: 40, fresh: 4, toFetch: 36, credits: 36 });
    expect(planned.windows).toMatchObject([{ left: 4 }]);
    expect(errorOf(plannedMs, tookMs)).toBeLessThan(0.03);
  });

  it('is now when nothing is to be fetched', async () => {
    const opened = open({ credits: 8 });
    await run(opened, { request: requestOf(8) });
    const planned = await plan(requestOf(8), opened);
    expect(planned).toMatchObject({ fresh: 8, toFetch: 0, calls: 0, credits: 0, doneAt: new Date() });
    expect(await plan(requestOf(0), opened)).toMatchObject({ inputs: 0, batches: 0, calls: 0, doneAt: new Date() });
  });
});

describe('plan, the counts', () => {
  it('takes what the ledger has, and of a batch that was stopped what is left', async () => {
    const opened = open({ credits: 8 });
    const controller = new AbortController();
    const request = requestOf(150);
    setTimeout(() => {
      controller.abort();
    }, 70_000);
    await run(opened, { request, key: 'k', signal: controller.signal });
    const planned = await plan(request, { ...opened, key: 'k', maxAgeMs: 0 });
    expect(planned).toMatchObject({ inputs: 150, stored: 16, fresh: 0, toFetch: 134, batches: 2, credits: 134 });
    await run(opened, { request, key: 'k' });
    expect(await plan(request, { ...opened, key: 'k' })).toMatchObject({ stored: 150, toFetch: 0, credits: 0 });
  });

  it('knows what is refused, by the request and by the sink', async () => {
    const { fetcher } = open({ credits: 8 });
    const sink = memorySink<Asset, Quote>({
      refuse: ({ symbol }) => (symbol === 'S1' ? new RequestError('symbol_too_long', symbol) : undefined),
    });
    const request = parseMarketDataRequest({
      assets: [{ symbol: 'S0', asset_type: 'STOCK' }, { symbol: 'S1', asset_type: 'STOCK' }, { symbol: 'S2' }],
    });
    expect(await plan(request, { fetcher, sink })).toMatchObject({ inputs: 3, refused: 2, toFetch: 1, credits: 1 });
  });

  it('writes nothing and asks no provider', async () => {
    const { fetcher, sink } = open({ credits: 8 });
    const fetch = vi.fn<Fetcher<Asset, Quote>['fetch']>();
    const accept = vi.spyOn(sink.ledger, 'accept');
    await plan(requestOf(250), { fetcher: { ...fetcher, fetch }, sink, key: 'k' });
    expect(fetch).not.toHaveBeenCalled();
    expect(accept).not.toHaveBeenCalled();
    expect(sink.ledger.read('k', 0)).toBeUndefined();
  });

  it('knows nothing of calls when the fetcher makes no estimates', async () => {
    const fetcher: Fetcher<Asset, Quote> = { name: 'own', fetch: () => Promise.resolve([]) };
    const planned = await plan(requestOf(3), { fetcher, sink: memorySink() });
    expect(planned).toEqual({ inputs: 3, refused: 0, stored: 0, fresh: 0, toFetch: 3, batches: 1, windows: [] });
  });

  it('knows no windows where there is no quota', async () => {
    const planned = await plan(requestOf(300), open({ credits: Infinity }));
    expect(planned).toMatchObject({ calls: 3, credits: 300, windows: [], doneAt: new Date() });
  });

  it('says what a day lacks, and when that much is done', async () => {
    const endsAt = new Date(Date.now() + 3_600_000);
    const windows = [
      { credits: 8, windowMs: 60_000, left: 8 },
      { credits: 800, windowMs: 86_400_000, left: 30, endsAt },
    ];
    const fetcher: Fetcher<Asset, Quote> = {
      name: 'own',
      fetch: () => Promise.resolve([]),
      refresh: vi.fn<() => Promise<void>>(() => Promise.resolve()),
      estimate: (inputs, { ahead = 0 } = {}) => ({
        calls: Math.ceil(inputs.length / 8),
        credits: inputs.length,
        doneAt: new Date(ahead),
        windows,
      }),
    };
    const planned = await plan(requestOf(100), { fetcher, sink: memorySink() });
    expect(planned.doneAt).toEqual(new Date(30));
    expect(planned.windows).toEqual([
      { ...windows[0], rounds: 13, lacking: 0 },
      { ...windows[1], rounds: 1, lacking: 70 },
    ]);
    expect(fetcher.refresh).toHaveBeenCalledOnce();
  });
});

describe('plan, what goes wrong', () => {
  const failing = new SinkError('database_unavailable', 'no database');

  it.each<[string, Partial<Sink<Asset, Quote>>]>([
    ['the sink', { current: () => Promise.reject(failing) }],
    ['its ledger', { ledger: { ...memorySink<Asset, Quote>().ledger, stored: () => Promise.reject(failing) } }],
  ])('rejects when %s cannot answer', async (_, broken) => {
    const { fetcher, sink } = open({ credits: 8 });
    await expect(plan(requestOf(3), { fetcher, sink: { ...sink, ...broken }, key: 'k' })).rejects.toBe(failing);
  });

  it('rejects when it is aborted', async () => {
    const planning = plan(requestOf(3), { ...open({ credits: 8 }), signal: AbortSignal.abort() });
    await expect(planning).rejects.toMatchObject({ code: 'canceled' });
    await expect(planning).rejects.toSatisfy(PipelineError.isInstance);
  });

  it('names what is wrong with its options', async () => {
    const options = { fetcher: {}, sink: {} } as unknown as PlanOptions<Asset, Quote>;
    await expect(plan(requestOf(1), options)).rejects.toThrow(OptionsError);
    await expect(plan(requestOf(1), options)).rejects.toThrow(/^plan: fetcher: expected a fetcher/);
  });
});

it('is what the progress of the run says later, to a window', async () => {
  const opened = open({ credits: 55 });
  const progress = memoryBus<ProgressEvent>();
  const { tookMs } = await run(opened, { request: requestOf(1_000), progress });
  expect(progress.events).toHaveLength(10);
  for (const { elapsedMs, etaMs = NaN, waitingUntil } of progress.events.slice(0, -1)) {
    // What calls of the next batches have fetched already is not known.
    expect(Math.abs(elapsedMs + etaMs - tookMs)).toBeLessThan(61_000);
    expect(waitingUntil).toMatch(/^2026-11-24T14:\d\d:\d\d\.\d{3}Z$/);
  }
  expect(progress.events.at(-1)).toMatchObject({ etaMs: 0 });
  expect(progress.events.at(-1)).not.toHaveProperty('waitingUntil');
});

it('plans in the memory of one batch', async () => {
  const { fetcher } = open({ credits: 8 });
  let most = 0;
  const sink: MemorySink<Asset, Quote> = memorySink();
  const current: Sink<Asset, Quote>['current'] = (inputs, call) => {
    most = Math.max(most, inputs.length);
    return sink.current(inputs, call);
  };
  await plan(requestOf(2_000), { fetcher, sink: { ...sink, current } });
  expect(most).toBe(100);
});
