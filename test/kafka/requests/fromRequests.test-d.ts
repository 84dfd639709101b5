import type { Observable } from 'rxjs';
import { describe, expectTypeOf, it } from 'vitest';
import { type Asset, type Delivery, type MarketDataRequest, type MarketIndex } from 'fintrack-pipelines';
import type { MarketIndexDataRequest, RecordSink, RecordSource, marketData } from 'fintrack-pipelines';
import { fromRequests, marketDataTopic, marketIndexDataTopic } from 'fintrack-pipelines/kafka';

declare const source: RecordSource;
declare const sink: RecordSink;
const member = { source, sink, groupId: 'workers' };

describe('the deliveries of fromRequests', () => {
  it('are those of the one topic', () => {
    const requests = fromRequests({ ...member, topics: [marketDataTopic()] });
    expectTypeOf(requests).toEqualTypeOf<Observable<Delivery<MarketDataRequest, Asset>>>();
    expectTypeOf<Parameters<ReturnType<typeof marketData>>[0]>().toEqualTypeOf(requests);
  });

  it('are any of those of several topics', () => {
    const requests = fromRequests({ ...member, topics: [marketDataTopic(), marketIndexDataTopic()] });
    expectTypeOf(requests).toEqualTypeOf<
      Observable<Delivery<MarketDataRequest, Asset> | Delivery<MarketIndexDataRequest, MarketIndex>>
    >();
  });
});
