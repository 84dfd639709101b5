import type { Observable } from 'rxjs';
import { concatMap, map, mergeMap, NEVER, of, Subject, take, type OperatorFunction } from 'rxjs';
import { describe, expect, it, vi } from 'vitest';
import { fromPull } from '../../src/flow/fromPull.ts';
import { OptionsError, type PipelineError } from '../../src/model/errors.ts';
import type { DeliveryShare } from '../../src/model/delivery.ts';
import type { CompletionEvent } from '../../src/model/events/completion.ts';
import type { PipelineName } from '../../src/model/requests/request.ts';
import {
  answerByPipeline,
  type AnswerByPipelineOptions,
  type DeliveriesByPipeline,
} from '../../src/pipelines/answerByPipeline.ts';

type AnyDelivery = DeliveriesByPipeline[keyof DeliveriesByPipeline];

interface Known {
  readonly id: string;
}

function deliveryOf(pipeline: PipelineName, id: string, share?: DeliveryShare, nack?: (error: PipelineError) => void) {
  const delivery = {
    ...{ id, inputs: [], batchSize: 1, lane: 'market', acceptedAt: new Date(0), share },
    request: { pipeline, inputs: [], refused: [], account: {} },
    signal: new AbortController().signal,
    ack: async () => undefined,
    nack: async (error: PipelineError) => nack?.(error),
  };
  return delivery as unknown as AnyDelivery;
}

const completionOf = (requestId: string) => ({ requestId }) as CompletionEvent;

/** Answers under its own name, at once or when the gate opens. */
const named = (name: string, gate: Observable<unknown> = of(0)): OperatorFunction<Known, CompletionEvent> =>
  mergeMap(({ id }) => gate.pipe(map(() => completionOf(`${name} ${id}`))));

const owner: DeliveryShare = { role: 'owner' };
const part: DeliveryShare = { role: 'part', firstBatch: 3 };

function answersTo(source: Observable<AnyDelivery>, options: AnswerByPipelineOptions) {
  const got: string[] = [];
  const subscription = source.pipe(answerByPipeline(options)).subscribe({
    next: ({ requestId }) => got.push(requestId),
    error: (error: Error) => got.push(`error: ${error.message}`),
    complete: () => got.push('complete'),
  });
  return { got, subscription };
}

describe('answerByPipeline', () => {
  it('hands each delivery to its pipeline, and parts to their own operator', () => {
    const { got } = answersTo(
      of(
        deliveryOf('market-data', 'a'),
        deliveryOf('market-index-data', 'b'),
        deliveryOf('historical-market-data', 'c'),
        deliveryOf('market-data', 'd', owner),
        deliveryOf('market-data', 'e', part),
        deliveryOf('market-index-data', 'f', part),
      ),
      {
        'market-data': { requests: named('market'), parts: named('market part') },
        'market-index-data': { requests: named('index') },
        'historical-market-data': { requests: named('historical') },
      },
    );
    expect(got).toEqual([
      ...['market a', 'index b', 'historical c', 'market d', 'market part e', 'index f'],
      'complete',
    ]);
  });

  it('lets no part hold up a request, whether or not parts have an operator of their own', () => {
    const oneByOne: OperatorFunction<AnyDelivery, CompletionEvent> = concatMap(({ id, share }) =>
      share?.role === 'part' ? NEVER : of(completionOf(id)),
    );
    const deliveries = of(deliveryOf('market-data', 'part', part), deliveryOf('market-data', 'whole'));
    for (const parts of [undefined, oneByOne]) {
      const { got } = answersTo(deliveries, { 'market-data': { requests: oneByOne, parts } });
      expect(got).toEqual(['whole']);
    }
  });

  it('gives back what no pipeline is there for', async () => {
    const nack = vi.fn<(error: PipelineError) => void>();
    const { got } = answersTo(
      of(deliveryOf('market-index-data', 'a', undefined, nack), deliveryOf('market-data', 'b')),
      { 'market-data': { requests: named('market') } },
    );
    await vi.waitFor(() => {
      expect(got).toEqual(['market b', 'complete']);
    });
    expect(nack.mock.lastCall?.[0]).toBeInstanceOf(OptionsError);
  });

  it('passes errors of the source and of a pipeline on, and unsubscribes the others', () => {
    const source = new Subject<AnyDelivery>();
    const first = answersTo(source, { 'market-data': { requests: named('market') } });
    source.error(new Error('broken'));
    expect(first.got).toEqual(['error: broken']);

    const failing: OperatorFunction<AnyDelivery, never> = mergeMap(() => {
      throw new Error('no');
    });
    const deliveries = new Subject<AnyDelivery>();
    const { got } = answersTo(deliveries, {
      'market-data': { requests: failing },
      'market-index-data': { requests: named('index', NEVER) },
    });
    deliveries.next(deliveryOf('market-index-data', 'a'));
    deliveries.next(deliveryOf('market-data', 'b'));
    expect([got, deliveries.observed]).toEqual([['error: no'], false]);
  });

  it('stops a source that emits at once when it is unsubscribed', () => {
    let pulled = 0;
    function* endless() {
      for (;;) {
        pulled += 1;
        yield deliveryOf('market-data', String(pulled));
      }
    }
    const got: string[] = [];
    fromPull(endless)
      .pipe(answerByPipeline({ 'market-data': { requests: named('market') } }), take(3))
      .subscribe(({ requestId }) => got.push(requestId));
    expect(got).toEqual(['market 1', 'market 2', 'market 3']);
    expect(pulled).toBeLessThanOrEqual(4);
  });

  it('refuses options that are none', () => {
    expect(() => answerByPipeline({ 'market-data': {} } as never)).toThrow(/answerByPipeline: market-data: expected/);
    expect(() => answerByPipeline({ market: { requests: named('x') } } as never)).toThrow(/unknown option 'market'/);
  });
});
