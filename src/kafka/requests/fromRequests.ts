import { Observable } from 'rxjs';
import type { Delivery } from '../../model/delivery.ts';
import { resolveFromRequests, type FromRequestsOptions } from './fromRequestsOptions.ts';
import { Reading } from './Reading.ts';
import type { AnyRequestTopic, RequestTopic } from './requestTopic.ts';

/** The deliveries of a topic; of several topics, any of theirs. */
export type DeliveryOf<Topic> = Topic extends RequestTopic<infer R, infer I> ? Delivery<R, I> : never;

/** Reads requests as a member of a consumer group, and hands each out as a delivery that a pipeline answers. */
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
