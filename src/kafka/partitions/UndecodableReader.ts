import type { PipelineError } from '../../model/errors.ts';
import type { RecordSource, TopicPartition, UndecodableRecord } from '../../model/recordPorts.ts';

export interface UndecodableReaderOptions {
  readonly source: RecordSource;
  readonly place: TopicPartition;
  readonly signal: AbortSignal | undefined;
}

type Found = (UndecodableRecord & { readonly reason: string }) | undefined;

/** Reads one partition, and nothing else, in search of what cannot be decoded. */
export class UndecodableReader implements AsyncDisposable {
  readonly place: TopicPartition;
  readonly #source: RecordSource;
  readonly #signal: AbortSignal | undefined;
  readonly #owned: Promise<void>;
  #onOwned: () => void = () => undefined;
  #fail: (reason: unknown) => void = () => undefined;
  readonly #failed: Promise<never>;
  /** The search that is under way. */
  #search: { readonly until: bigint; readonly end: (found: Found) => void } | undefined;
  readonly #onAbort = (): void => this.#fail(this.#signal?.reason);

  constructor({ source, place, signal }: UndecodableReaderOptions) {
    this.place = place;
    this.#source = source;
    this.#signal = signal;
    this.#owned = new Promise((resolve) => (this.#onOwned = resolve));
    this.#failed = new Promise((_resolve, reject) => (this.#fail = reject));
    this.#failed.catch(() => undefined); // whoever waits at that time is told
    signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Resolves once the partition is this reader's. */
  async join(): Promise<void> {
    const joined = this.#source.run({
      onAssigned: (_epoch, partitions) => {
        this.#source.pause(partitions);
        if (partitions.some((each) => this.#isOurs(each))) this.#onOwned();
      },
      onRevoked: () => undefined,
      onRecord: (record) => {
        if (this.#isOurs(record)) this.#passed(record.offset + 1n);
      },
      onPosition: (position) => {
        if (this.#isOurs(position)) this.#passed(position.offset);
      },
      onUndecodable: (record, error) => {
        if (this.#isOurs(record)) this.#end({ ...record, reason: error.message });
      },
      onFatal: (error: PipelineError) => this.#fail(error),
    });
    await Promise.race([Promise.all([joined, this.#owned]), this.#failed]);
  }

  /** The first that cannot be decoded from an offset on; undefined when there is none up to the other one. */
  async firstFrom(from: bigint, until: bigint): Promise<Found> {
    const found = new Promise<Found>((resolve) => (this.#search = { until, end: resolve }));
    this.#source.rewind({ ...this.place, offset: from });
    this.#source.resume([this.place]);
    return Promise.race([found, this.#failed]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    await this.#source.stop();
  }

  #isOurs({ topic, partition }: TopicPartition): boolean {
    return topic === this.place.topic && partition === this.place.partition;
  }

  /** All before this place can be decoded. */
  #passed(next: bigint): void {
    if (this.#search !== undefined && next > this.#search.until) this.#end(undefined);
  }

  #end(found: Found): void {
    this.#source.pause([this.place]);
    this.#search?.end(found);
    this.#search = undefined;
  }
}
