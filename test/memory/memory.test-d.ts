import type { Observable } from 'rxjs';
import { describe, expectTypeOf, it } from 'vitest';
import { memoryBus, memoryLedger, memorySink } from '../../src/memory/index.ts';
import type { Ledger, Publisher, Sink } from '../../src/model/ports.ts';
import type { Asset, MarketIndex, Quote } from '../../src/model/records.ts';
import { fromCsv } from '../../src/sources/fromCsv.ts';

describe('the types of the adapters in memory', () => {
  it('fit the ports', () => {
    expectTypeOf(memoryBus<string>()).toExtend<Publisher<string>>();
    expectTypeOf(memoryLedger<Asset, Quote>()).toExtend<Ledger<Asset, Quote>>();
    expectTypeOf(memorySink<Asset, Quote>()).toExtend<Sink<Asset, Quote>>();
  });

  it('keep what is in them readable and not writable', () => {
    expectTypeOf(memoryBus<string>().events).toEqualTypeOf<readonly string[]>();
    expectTypeOf(memorySink<Asset, Quote>().rows).toEqualTypeOf<ReadonlyMap<string, Quote>>();
  });
});

describe('the types of fromCsv', () => {
  it('follow from the kind of its rows', () => {
    expectTypeOf(fromCsv({ path: 'symbols.csv' })).toEqualTypeOf<Observable<Asset>>();
    expectTypeOf(fromCsv({ path: 'symbols.csv', kind: 'asset' })).toEqualTypeOf<Observable<Asset>>();
    expectTypeOf(fromCsv({ path: 'symbols.csv', kind: 'index' })).toEqualTypeOf<Observable<MarketIndex>>();
  });
});
