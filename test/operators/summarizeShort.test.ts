// issue 10, 13: a run over any number of symbols needs a summary that does not grow with them.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { firstValueFrom, from, Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/model/batch.ts';
import { OptionsError, PipelineError } from '../../src/model/errors.ts';
import { marketDataCompleted } from '../../src/model/events/marketDataCompleted.ts';
import type { Outcome } from '../../src/model/outcome.ts';
import type { ShortSummary } from '../../src/model/summary.ts';
import { summarize, type SummarizeOptions } from '../../src/operators/summarize.ts';

const ok = (input: string): Outcome<string, number> => ({ status: 'ok', input, value: 1 });
const failed = (input: string): Outcome<string, number> => ({
  status: 'failed',
  input,
  stage: 'fetch',
  error: new PipelineError('symbol_unknown', input),
});

type Batches = readonly Batch<string, number>[];

const short = (batches: Batches, options?: Omit<SummarizeOptions, 'outcomes'>): Promise<ShortSummary<string>> =>
  firstValueFrom(from(batches).pipe(summarize({ ...options, outcomes: false })));

describe('summarize without outcomes', () => {
  it('says the same as with them, but the outcomes', async () => {
    const batches: Batches = [
      { index: 1, outcomes: [ok('C'), failed('D'), { status: 'pending', input: 'E' }] },
      {
        index: 0,
        outcomes: [failed('A'), ok('B')],
        written: { inserted: 1, updated: 0, unchanged: 0, transactions: 1 },
      },
    ];
    const whole: Record<string, unknown> = { ...(await firstValueFrom(from(batches).pipe(summarize()))) };
    delete whole['outcomes'];
    const time = expect.any(Number) as number;
    expect(await short(batches)).toStrictEqual({
      ...whole,
      totalTimeMs: time,
      recordsPerSecond: time,
      finishedAt: expect.any(Date) as Date,
    });
  });

  it('keeps the first failures in the order of the batches, however they arrive, and counts all', async () => {
    const batch = (index: number): Batch<string, number> => ({
      index,
      outcomes: [failed(`${index}a`), failed(`${index}b`), ok(`${index}c`)],
    });
    const { failures, counts } = await short([4, 2, 0, 3, 1].map(batch), { maxFailures: 5 });
    expect(failures.map(({ input }) => input)).toEqual(['0a', '0b', '1a', '1b', '2a']);
    expect(counts).toEqual({ ok: 5, fresh: 0, failed: 10, skipped: 0 });
    const many = Array.from({ length: 60 }, (_, index) => batch(index));
    expect((await short(many)).failures).toHaveLength(100);
    expect((await short(many, { maxFailures: 0 })).failures).toEqual([]);
  });

  it('refuses a number of failures that would do nothing, or no number', () => {
    expect(() => summarize({ maxFailures: 5 } as never)).toThrow(
      new OptionsError('summarize: maxFailures: expected only with outcomes: false, else all failures are kept'),
    );
    expect(() => summarize({ outcomes: false, maxFailures: 10_001 })).toThrow(OptionsError);
    expect(() => summarize({ outcomes: 'no' as never })).toThrow(OptionsError);
  });

  it('makes no completion event, and says why', async () => {
    const summary = await firstValueFrom(from([]).pipe(summarize({ outcomes: false })));
    const answered = {
      id: 'r',
      acceptedAt: new Date(0),
      request: { pipeline: 'market-data', inputs: [], refused: [], account: {} },
    } as const;
    expect(() => marketDataCompleted(summary as never, answered)).toThrow(
      'completion event: expected a summary with its outcomes, got one without: call summarize() without outcomes: false',
    );
  });

  it('keeps less than a tenth of the memory for 300,000 symbols, all of them failed', () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const heap = (): number => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    /** What is still held just before the end. */
    const held = (options: SummarizeOptions): number => {
      const batches = new Subject<Batch<string, number>>();
      const summary = batches.pipe(summarize(options as { outcomes: false })).subscribe();
      const before = heap();
      const error = new PipelineError('symbol_unknown', 'unknown');
      for (let index = 0; index < 3_000; index += 1) {
        const outcomes = Array.from({ length: 100 }, (_, number) => ({
          status: 'failed' as const,
          input: `S${index}-${number}`,
          stage: 'fetch' as const,
          error,
        }));
        batches.next({ index, outcomes });
      }
      const after = heap();
      summary.unsubscribe();
      return after - before;
    };
    const whole = held({});
    const little = held({ outcomes: false });
    expect(whole).toBeGreaterThan(15_000_000);
    expect(little).toBeLessThan(whole / 10);
  });
});
