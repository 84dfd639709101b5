import { FencedError, PipelineError } from '../../../model/errors.ts';
import { recordBytes } from '../../../model/recordBytes.ts';
import type { SourceRecord } from '../../../model/recordPorts.ts';
import type { OpenBytes } from './OpenBytes.ts';
import { OpenOffsets } from './OpenOffsets.ts';
import { OpenRequest, type OpenRequestContext } from './OpenRequest.ts';
import type { PartitionContext, PartitionHandler } from '../partitionHandler.ts';
import { PartitionOwner } from './PartitionOwner.ts';
import type { AnyRequestTopic } from '../requestTopic.ts';

export interface RequestPartitionContext extends PartitionContext {
  readonly topic: AnyRequestTopic;
  /** Most offsets between the oldest open record and the newest one taken. */
  readonly window: number;
  /** What all partitions share. */
  readonly openBytes: OpenBytes;
  readonly progressDeadlineMs: number;
  readonly splitAbove: number;
}

/**
 * A partition of a request topic. It is to be paused when it is assigned: once it is owned, it goes on at the committed
 * offset, and from then on as long as there is room for more open requests.
 */
export class RequestPartition implements PartitionHandler {
  readonly #context: RequestPartitionContext;
  readonly #requestContext: OpenRequestContext;
  readonly #owner: PartitionOwner;
  readonly #offsets = new OpenOffsets();
  readonly #leaving = new AbortController();
  readonly #lost = new AbortController();
  readonly #requests = new Map<bigint, OpenRequest>();
  readonly #runs = new Set<Promise<void>>();
  readonly #unwatch: () => void;
  #isOwned = false;
  #isFlowing = false;
  /** A record that was too far away when it came. */
  #putBack: bigint | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  constructor(context: RequestPartitionContext) {
    const { place, groupId, sink, emit } = context;
    this.#context = context;
    const owner = new PartitionOwner({
      place,
      groupId,
      sink,
      lost: this.#lost.signal,
      offsets: this.#offsets,
      onGone: (offsets) => this.#onGone(offsets),
      onWait: (error, delayMs) => emit({ type: 'partition-waiting', place, error, delayMs }),
    });
    this.#owner = owner;
    this.#requestContext = {
      ...context,
      leaving: this.#leaving.signal,
      announce: (offset, recordsOf) => owner.announce(offset, recordsOf),
      inTurn: (task) => this.#inTurn(task),
    };
    this.#unwatch = context.openBytes.watch(() => this.#flow());
    void this.#own();
  }

  onRecord(record: SourceRecord): void {
    const { offset } = record;
    const { openBytes } = this.#context;
    if (!this.#isOwned || this.#leaving.signal.aborted) return;
    // A gap in the offsets may be wider than what can be committed.
    if (this.#offsets.span(offset) >= this.#context.window) {
      this.#putBack ??= offset;
      this.#flow();
      return;
    }
    if (!this.#offsets.take(offset)) return;
    const request = new OpenRequest(record, this.#requestContext);
    this.#requests.set(offset, request);
    const bytes = recordBytes(record);
    openBytes.take(bytes);
    const run = request.run().finally(() => {
      this.#requests.delete(offset);
      this.#runs.delete(run);
      openBytes.giveBack(bytes);
      this.#flow();
    });
    this.#runs.add(run);
    this.#flow();
  }

  async drain(): Promise<void> {
    this.#leaving.abort(new PipelineError('canceled', 'the worker takes nothing new'));
    this.#flow();
    await Promise.all(this.#runs);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { place, emit } = this.#context;
    const reason = new FencedError(`${place.topic}-${place.partition} is not this worker's any more`);
    this.#unwatch();
    emit({ type: 'partition-lost', place, open: this.#offsets.size });
    this.#leaving.abort(reason);
    this.#lost.abort(reason);
    for (const request of this.#requests.values()) request.lose(reason);
    await this.#owner.close();
    await Promise.all(this.#runs);
  }

  /** Becomes the owner, and begins to read where the group has got. */
  async #own(): Promise<void> {
    const { place, source, emit } = this.#context;
    const committed = await this.#owner.own().catch(() => undefined);
    if (committed === undefined) return; // It was lost before.
    const { offset, announced } = committed;
    this.#isOwned = true;
    emit({ type: 'partition-owned', place, offset, announced: announced.size });
    source.rewind({ ...place, offset });
    this.#flow();
  }

  #onGone(offsets: readonly bigint[]): void {
    const { place } = this.#context;
    for (const offset of offsets) {
      const reason = new FencedError(`${place.topic}-${place.partition}: record ${offset} is done already`);
      this.#requests.get(offset)?.lose(reason);
    }
  }

  /** Lets records come while there is room for them. */
  #flow(): void {
    const { place, source, maxOpen, window, openBytes } = this.#context;
    const isBelowWindow = this.#offsets.span(this.#putBack) < window;
    // One that has no request takes one in any case: large ones of another keep nobody waiting.
    const hasRoom = this.#offsets.size < maxOpen && isBelowWindow && (this.#offsets.size === 0 || openBytes.hasRoom);
    const flows = this.#isOwned && hasRoom && !this.#leaving.signal.aborted;
    if (flows === this.#isFlowing) return;
    this.#isFlowing = flows;
    if (!flows) {
      source.pause([place]);
      return;
    }
    if (this.#putBack !== undefined) source.rewind({ ...place, offset: this.#putBack });
    this.#putBack = undefined;
    source.resume([place]);
  }

  #inTurn<Result>(task: (passOn: () => void) => Promise<Result>): Promise<Result> {
    let passOn = (): void => undefined;
    const passedOn = new Promise<void>((resolve) => (passOn = resolve));
    const result = this.#turn.then(() => task(passOn));
    this.#turn = Promise.race([result.catch(() => undefined), passedOn]);
    return result;
  }
}
