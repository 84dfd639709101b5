import { pause } from '../../../flow/pause.ts';
import { together } from '../../../flow/together.ts';
import { FencedError, PipelineError } from '../../../model/errors.ts';
import type { Announcer, CommittedState, RecordSink, SinkRecord, TopicPartition } from '../../../model/recordPorts.ts';
import type { OpenOffsets } from './OpenOffsets.ts';
import { Backoff } from './retry.ts';

export interface PartitionOwnerOptions {
  readonly place: TopicPartition;
  readonly groupId: string;
  readonly sink: RecordSink;
  /** Aborted when the partition is lost: nothing is announced any more. */
  readonly lost: AbortSignal;
  /** Knows how far the group has got; what is committed is noted in it. */
  readonly offsets: OpenOffsets;
  /** Another owner has done these open records meanwhile, or an announcement that seemed to fail has. */
  readonly onGone: (offsets: readonly bigint[]) => void;
  /** The broker cannot be had, or there is another owner: it is tried again after the delay. */
  readonly onWait: (error: PipelineError, delayMs: number) => void;
}

interface Announcement {
  readonly offset: bigint;
  readonly recordsOf: () => readonly SinkRecord[];
  records: readonly SinkRecord[];
}

/**
 * How often in a row the records are made anew at once because a topic does not take them: each time those for one topic become
 * half as large. From 900 kB to less than a record of any kind that is a dozen times, for the completions and the dead letters.
 */
const maxRefusals = 30;

/**
 * Owns the offset of a partition, and announces what becomes of its records: each once.
 *
 * When an announcement has failed, nobody knows whether it is out. So the partition is owned again, and only what the
 * committed state does not hold is announced again; where a topic does not take records of that size, in smaller ones.
 */
export class PartitionOwner {
  readonly #options: PartitionOwnerOptions;
  readonly #announceTogether: (announcement: Announcement) => Promise<void>;
  #announcer: Announcer | undefined;

  constructor(options: PartitionOwnerOptions) {
    this.#options = options;
    this.#announceTogether = together((waiting) => this.#announceAll(waiting));
  }

  /** Becomes the owner, however long the broker is away; rejects when the partition is lost before. */
  async own(): Promise<CommittedState> {
    const { place, groupId, sink, lost, offsets, onGone } = this.#options;
    for (const backoff = new Backoff(); ;) {
      lost.throwIfAborted();
      try {
        const announcer = await sink.own(place.topic, place.partition, groupId);
        this.#announcer = announcer;
        if (lost.aborted) await this.close();
        lost.throwIfAborted();
        onGone(offsets.takeOver(announcer.committed));
        return announcer.committed;
      } catch (error) {
        await this.#wait(error, backoff);
      }
    }
  }

  /**
   * Announces the records, and that the record at the offset is done. Resolves once that is committed, by whomever; rejects
   * when the partition was lost before, or the records cannot be made. They are made anew, within what the sink then says of their
   * topics, when one of these did not take them.
   */
  async announce(offset: bigint, recordsOf: () => readonly SinkRecord[]): Promise<void> {
    await this.#announceTogether({ offset, recordsOf, records: recordsOf() });
  }

  async close(): Promise<void> {
    // A broker that is gone cannot be told; what was not announced is refused all the same.
    await this.#announcer?.close().catch(() => undefined);
  }

  /** One transaction at a time takes all that waits. */
  async #announceAll(announcements: readonly Announcement[]): Promise<void> {
    for (let [backoff, refusals] = [new Backoff(), 0]; ;) {
      const open = announcements.filter(({ offset }) => this.#options.offsets.isOpen(offset));
      if (open.length === 0) return;
      try {
        await this.#transact(open);
        return;
      } catch (error) {
        if (!isTooLarge(error) || ++refusals > maxRefusals) await this.#wait(error, backoff);
        else for (const each of open) each.records = each.recordsOf();
      }
      await this.close();
      await this.own();
    }
  }

  async #transact(open: readonly Announcement[]): Promise<void> {
    const { place, lost, offsets } = this.#options;
    lost.throwIfAborted();
    if (this.#announcer === undefined) throw new FencedError(`${place.topic}-${place.partition} is not owned yet`);
    const done = open.map(({ offset }) => offset);
    await this.#announcer.announce(
      open.flatMap(({ records }) => records),
      offsets.stateAfter(done),
    );
    offsets.finish(done);
  }

  async #wait(error: unknown, backoff: Backoff): Promise<void> {
    const { lost, onWait } = this.#options;
    lost.throwIfAborted();
    const delayMs = backoff.next();
    onWait(PipelineError.from(error), delayMs);
    await pause(delayMs, lost);
  }
}

function isTooLarge(error: unknown): boolean {
  return PipelineError.isInstance(error) && error.code === 'record_too_large';
}
