import { Observable } from 'rxjs';
import type { Delivery } from '../../model/delivery.ts';
import { resolveFromRequests, type FromRequestsOptions } from './fromRequestsOptions.ts';
import { Reading } from './Reading.ts';
import type { AnyRequestTopic, RequestTopic } from './requestTopic.ts';

/** The deliveries of a topic; of several topics, any of theirs. */
export type DeliveryOf<Topic> = Topic extends RequestTopic<infer R, infer I> ? Delivery<R, I> : never;

/**
 * Reads requests as a member of a consumer group, and hands each out as a delivery, for a pipeline to answer.
 *
 * A delivery is answered by its `ack`, which announces the completion and commits in one transaction, so that readers of
 * committed records see it once, whatever dies meanwhile. It rejects with a `FencedError` when the partition has gone to
 * another worker, and with a retryable error when the completion tells of an outage instead of the request: `database_unavailable`
 * among what failed, or symbols `canceled`. Such a request, and one whose `nack` gets a retryable error, is handed out again, after
 * 250 ms up to 5 s, without end; any other `nack` puts it to the dead letters, with a failed completion. The same becomes of a
 * record that is no request, and, with the completion of its own, of a request that made no progress for
 * `progressDeadlineMs`: its signal is aborted, and 5 s later it is answered without its pipeline.
 *
 * Subscribing runs the source, so it can be done once. The result never completes but through `stop`. It errors when the group
 * cannot be joined, after which it may be subscribed to again, and when the source fails for ever. On unsubscribe, all
 * signals are aborted and the group is left at once: what was not announced is handed out wherever it is read next. An outage
 * of the broker or of the ledger is no error, it is waited for: `events` tells.
 *
 * Memory: at most `maxOpen` deliveries a partition.
 *
 * @example
 * ```ts
 * import { firstValueFrom, Subject } from 'rxjs';
 * import {
 *   creditLimiter,
 *   limited,
 *   marketData,
 *   memoryBroker,
 *   memorySink,
 *   recordedQuotes,
 *   type Asset,
 *   type Quote,
 *   type RunEvent,
 * } from 'fintrack-pipelines';
 * import { fromRequests, marketDataTopic } from 'fintrack-pipelines/kafka';
 *
 * const prices = memorySink<Asset, Quote>();
 * const topic = marketDataTopic({ ledger: prices.ledger, workTopic: null });
 * const broker = memoryBroker({ topics: { [topic.topic]: 1, [topic.completionTopic]: 1, [topic.deadLetterTopic]: 1 } });
 * const value = '{"assets":[{"symbol":"AAPL","asset_type":"STOCK"}]}';
 * await broker.sink().send([{ topic: topic.topic, value }]);
 *
 * const progress = new Subject<RunEvent>();
 * const fetcher = limited(recordedQuotes(), creditLimiter({ credits: 8 }));
 * const groupId = 'workers';
 * const source = broker.source({ groupId, topics: [topic.topic] });
 * const requests = fromRequests({ source, sink: broker.sink(), groupId, topics: [topic], progress });
 *
 * const completed = await firstValueFrom(requests.pipe(marketData({ fetcher, sink: prices, events: progress })));
 * console.log(completed.status, completed.assets?.[0]?.price);
 * // complete 223.02
 * console.log(broker.records(topic.completionTopic).length, 'completion is out');
 * // 1 completion is out
 * ```
 */
export function fromRequests<Topic extends AnyRequestTopic>(
  options: FromRequestsOptions<Topic>,
): Observable<DeliveryOf<Topic>> {
  const settings = resolveFromRequests(options);
  return new Observable((subscriber) => {
    const reading = new Reading(settings, {
      deliver: (delivery) => subscriber.next(delivery as DeliveryOf<Topic>),
      complete: () => subscriber.complete(),
      error: (error) => subscriber.error(error),
    });
    reading.start();
    return () => reading.end();
  });
}
