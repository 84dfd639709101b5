import { Subject } from 'rxjs';
import { keyOf } from '../../model/assignment.ts';
import type { TopicPartition } from '../../model/recordPorts.ts';
import { WorkPartition } from '../parts/WorkPartition.ts';
import { AssignedPartitions } from './AssignedPartitions.ts';
import type { FromRequestsSettings } from './fromRequestsOptions.ts';
import type { AnyDelivery, PartitionContext, PartitionHandler } from './partitionHandler.ts';
import { OpenBytes } from './partition/OpenBytes.ts';
import { ProgressWatch } from './ProgressWatch.ts';
import { Quarantine } from './quarantine/Quarantine.ts';
import { RequestPartition } from './partition/RequestPartition.ts';
import type { AnyRequestTopic } from './requestTopic.ts';
import type { WorkerEvent } from '../../model/workerEvents.ts';

/** Where deliveries go. */
export interface ReadingObserver {
  deliver(delivery: AnyDelivery): void;
  complete(): void;
  error(error: unknown): void;
}

/** One subscription to `fromRequests`: from joining the group to leaving it. */
export class Reading {
  readonly #settings: FromRequestsSettings;
  readonly #observer: ReadingObserver;
  readonly #watch: ProgressWatch;
  readonly #quarantine: Quarantine;
  readonly #openBytes: OpenBytes;
  readonly #partitions = new AssignedPartitions((epoch, place) => this.#open(epoch, place));
  readonly #requestTopics: ReadonlyMap<string, AnyRequestTopic>;
  readonly #workTopics: ReadonlyMap<string, AnyRequestTopic>;
  readonly #emit: (event: WorkerEvent) => void;
  /** The partitions that are held by what cannot be decoded. */
  readonly #held = new Set<string>();
  readonly #onStop = (): void => void this.#drain();
  /** Whether nothing new is taken. */
  #isEnding = false;
  /** Whether there is nothing to leave. */
  #hasLeft = false;

  constructor(settings: FromRequestsSettings, observer: ReadingObserver) {
    const { topics, progressDeadlineMs: deadlineMs, progress, standsStill, now } = settings;
    this.#settings = settings;
    this.#observer = observer;
    this.#watch = new ProgressWatch({ deadlineMs, progress, standsStill, now });
    this.#quarantine = new Quarantine({ after: settings.quarantineAfter, starts: settings.quarantineStarts });
    this.#openBytes = new OpenBytes(settings.maxOpenBytes);
    this.#requestTopics = new Map(topics.map((topic) => [topic.topic, topic]));
    this.#workTopics = new Map(
      topics.flatMap((topic) => (topic.workTopic === undefined ? [] : [[topic.workTopic, topic]])),
    );
    this.#emit = relayTo(settings.events);
  }

  start(): void {
    const { stop } = this.#settings;
    if (stop?.aborted === true) {
      this.#observer.complete();
      return;
    }
    stop?.addEventListener('abort', this.#onStop, { once: true });
    void this.#run();
  }

  /** Gives everything up at once, and leaves the group. */
  end(): void {
    this.#isEnding = true;
    this.#settings.stop?.removeEventListener('abort', this.#onStop);
    this.#watch.close();
    void this.#partitions.close();
    void this.#leave();
  }

  async #run(): Promise<void> {
    const { source } = this.#settings;
    try {
      await source.run({
        onAssigned: (epoch, partitions) => this.#partitions.onAssigned(epoch, partitions),
        onRecord: (record, epoch) => this.#partitions.onRecord(record, epoch),
        onRevoked: (epoch, partitions) => {
          this.#partitions.onRevoked(epoch, partitions);
          for (const place of partitions) this.#released(place, true);
        },
        onUndecodable: ({ topic, partition, offset }, error) => {
          this.#held.add(keyOf({ topic, partition }));
          this.#emit({ type: 'partition-held', place: { topic, partition, offset }, error });
        },
        onReleased: (place) => this.#released(place, false),
        onInterrupted: (error) => this.#emit({ type: 'interrupted', error }),
        onFatal: (error) => this.#observer.error(error),
      });
    } catch (error) {
      // A source that has not joined may be run again: it is not stopped.
      this.#hasLeft = true;
      if (!this.#isEnding) this.#observer.error(error);
    }
  }

  #released({ topic, partition }: TopicPartition, isLost: boolean): void {
    if (!this.#held.delete(keyOf({ topic, partition }))) return;
    this.#emit({ type: 'partition-released', place: { topic, partition }, isLost });
  }

  async #drain(): Promise<void> {
    this.#isEnding = true;
    await this.#partitions.drain();
    await this.#partitions.close();
    await this.#leave();
    this.#observer.complete();
  }

  async #leave(): Promise<void> {
    if (!this.#hasLeft) await this.#settings.source.stop().catch(() => undefined); // it is over, whatever it failed with
  }

  /** The handler of a partition; none when nothing new is taken. */
  #open(epoch: number, place: TopicPartition): PartitionHandler | undefined {
    const { source, window, progressDeadlineMs, splitAbove } = this.#settings;
    const topic = this.#requestTopics.get(place.topic);
    const workTopic = this.#workTopics.get(place.topic);
    if (this.#isEnding) return undefined;
    // From within `onAssigned`: no record comes before the partition is owned.
    if (workTopic === undefined) source.pause([place]);
    const context = this.#contextOf(epoch, place);
    if (topic !== undefined) {
      const openBytes = this.#openBytes;
      return new RequestPartition({ ...context, topic, window, openBytes, progressDeadlineMs, splitAbove });
    }
    return workTopic && new WorkPartition(workTopic, context);
  }

  #contextOf(epoch: number, place: TopicPartition): PartitionContext {
    const { source, sink, groupId, maxOpen, maxMessageBytes, now } = this.#settings;
    return {
      ...{ place, epoch, source, sink, groupId, maxOpen, maxMessageBytes, now },
      watch: this.#watch,
      quarantine: this.#quarantine,
      deliver: (delivery) => this.#observer.deliver(delivery),
      emit: this.#emit,
    };
  }
}

/** What an observer throws must change nothing here: the subject reports it as an unhandled error. */
function relayTo(observer: { next(event: WorkerEvent): void } | undefined): (event: WorkerEvent) => void {
  if (observer === undefined) return () => undefined;
  const relay = new Subject<WorkerEvent>();
  relay.subscribe((event) => observer.next(event));
  return (event) => relay.next(event);
}
