import { Subject, type Observable, type Subscription } from 'rxjs';
import { fromRequests, type DeliveryOf } from '../../../src/kafka/requests/fromRequests.ts';
import type { FromRequestsOptions } from '../../../src/kafka/requests/fromRequestsOptions.ts';
import { marketDataTopic, type RequestTopicOptions } from '../../../src/kafka/requests/requestTopics.ts';
import type { AnyRequestTopic, RequestTopic } from '../../../src/kafka/requests/requestTopic.ts';
import type { WorkerEvent } from '../../../src/model/workerEvents.ts';
import { memoryBroker, type MemoryBroker } from '../../../src/memory/memoryBroker.ts';
import type { Delivery } from '../../../src/model/delivery.ts';
import { rejectedRequest } from '../../../src/model/events/rejectedRequest.ts';
import type { CompletionEvent } from '../../../src/model/events/completion.ts';
import { parseEvent } from '../../../src/model/events/serializeEvent.ts';
import type { CommittedState, RecordSink, SinkRecord } from '../../../src/model/recordPorts.ts';
import type { Asset } from '../../../src/model/records.ts';
import type { MarketDataRequest } from '../../../src/model/requests/marketDataRequest.ts';
import { PipelineError, PublishError } from '../../../src/model/errors.ts';
import { changedSink } from '../changedSink.ts';

export const groupId = 'workers';

/** The topic of market data requests under short names. */
export function requestTopic(options: RequestTopicOptions<Asset> = {}): RequestTopic<MarketDataRequest, Asset> {
  return marketDataTopic({ topic: 'IN', completionTopic: 'OUT', workTopic: null, ...options });
}

export function openBroker(partitions = 1): MemoryBroker {
  return memoryBroker({ topics: { IN: partitions, OUT: 1, 'IN-dlt': partitions }, now: () => 1_700_000_000_000 });
}

/** A request for these symbols, as a message. */
export function message(...symbols: readonly string[]): string {
  return JSON.stringify({ assets: symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' })) });
}

/** Sends messages to a partition of IN. */
export async function send(broker: MemoryBroker, messages: readonly (string | Uint8Array | null)[], partition = 0) {
  await broker.sink().send(messages.map((value) => ({ topic: 'IN', partition, value })));
}

/** The completion of a delivery, without a pipeline. */
export function completionOf({ id, inputs }: Delivery<unknown, unknown>): CompletionEvent {
  const error = new PipelineError('symbol_unknown', 'not known');
  return { ...rejectedRequest('market-data', error, id), status: 'complete', totalAssets: inputs.length };
}

/** A subscription to `fromRequests`, and all that came of it. */
export class Worker<Topic extends AnyRequestTopic = RequestTopic<MarketDataRequest, Asset>> {
  readonly deliveries: DeliveryOf<Topic>[] = [];
  readonly events: WorkerEvent[] = [];
  readonly progress = new Subject<never>();
  readonly subscription: Subscription;
  readonly source;
  readonly stopping = new AbortController();
  ended: 'completed' | Error | undefined;

  constructor(
    broker: MemoryBroker,
    options: Partial<FromRequestsOptions<Topic>> & Pick<FromRequestsOptions<Topic>, 'topics'>,
    onDelivery: (delivery: DeliveryOf<Topic>) => void = () => undefined,
  ) {
    const names = options.topics.map(({ topic }) => topic);
    const source = options.source ?? broker.source({ groupId, topics: names });
    this.source = source;
    const requests: Observable<DeliveryOf<Topic>> = fromRequests({
      source,
      sink: broker.sink(),
      groupId,
      events: { next: (event) => this.events.push(event) },
      stop: this.stopping.signal,
      ...options,
    });
    this.subscription = requests.subscribe({
      next: (delivery) => {
        this.deliveries.push(delivery);
        onDelivery(delivery);
      },
      complete: () => (this.ended = 'completed'),
      error: (error: Error) => (this.ended = error),
    });
  }

  /** The events of one type, in order. */
  told<Type extends WorkerEvent['type']>(type: Type): Extract<WorkerEvent, { type: Type }>[] {
    return this.events.filter((event): event is Extract<WorkerEvent, { type: Type }> => event.type === type);
  }

  stop(): void {
    this.subscription.unsubscribe();
  }
}

/** The real one, where a test has put virtual time in its place. */
const immediate = setImmediate;

/** Lets microtasks run until there are none. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => immediate(resolve));
}

/** Lets everything go on that needs no time. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

/** What becomes of a call to the broker: it fails before it took effect, or after. */
export type Fault = 'before' | 'after' | undefined;

/** A sink whose calls fail as the test wants. */
export function faultySink(
  sink: RecordSink,
  faults: { own?: (() => Fault) | undefined; announce?: ((records: readonly SinkRecord[]) => Fault) | undefined },
): RecordSink {
  async function meet<Result>(fault: Fault, call: () => Promise<Result>): Promise<Result> {
    if (fault === 'before') throw new PublishError('the broker is away', { retryable: true });
    const result = await call();
    if (fault === 'after') throw new PublishError('the broker did not answer', { retryable: true });
    return result;
  }
  return changedSink(sink, {
    own: async (topic, partition, group) => {
      const announcer = await meet(faults.own?.(), () => sink.own(topic, partition, group));
      let broken: PublishError | undefined;
      return {
        committed: announcer.committed,
        close: () => announcer.close(),
        async announce(records, next) {
          if (broken !== undefined) throw broken;
          try {
            await meet(faults.announce?.(records), () => announcer.announce(records, next));
          } catch (error) {
            broken = error as PublishError;
            throw error;
          }
        },
      };
    },
  });
}

/** How far the group has got; the way to find out takes the partition over. */
export async function committed(broker: MemoryBroker, partition = 0): Promise<CommittedState> {
  const announcer = await broker.sink().own('IN', partition, groupId);
  return announcer.committed;
}

/** The completion events, by the key of their request. */
export function completions(broker: MemoryBroker): { key: string; event: CompletionEvent }[] {
  return broker.records('OUT').map(({ key, value }) => ({
    key: Buffer.from(key ?? '').toString(),
    event: parseEvent(Buffer.from(value ?? '').toString()) as CompletionEvent,
  }));
}

/** The key of a record of IN. */
export function keyAt(offset: number, partition = 0): string {
  return `IN-${partition}-${offset}-1700000000000`;
}

/** The dead letters, by the text of their value. */
export function deadLetters(broker: MemoryBroker): { value: string; reason: string }[] {
  return broker.records('IN-dlt').map(({ value, headers }) => ({
    value: Buffer.from(value ?? '').toString(),
    reason: String(headers.find(({ name }) => name === 'kafka_dlt-exception-stacktrace')?.value ?? ''),
  }));
}
