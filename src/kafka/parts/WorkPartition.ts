import { pause } from '../../flow/pause.ts';
import { together } from '../../flow/together.ts';
import { FencedError, PipelineError } from '../../model/errors.ts';
import type { SourceRecord } from '../../model/recordPorts.ts';
import { OpenOffsets } from '../requests/partition/OpenOffsets.ts';
import { Backoff } from '../requests/partition/retry.ts';
import type { PartitionContext, PartitionHandler } from '../requests/partitionHandler.ts';
import type { AnyRequestTopic } from '../requests/requestTopic.ts';
import { OpenPart, type OpenPartContext } from './OpenPart.ts';
import { workReader } from './workRecord.ts';

/** Most parts of a partition at work at once: what is not taken yet goes to whoever has the partition next. */
const maxOpenParts = 4;

/** Most records between the oldest open part and the newest taken: after a crash the ledger is asked for each of them. */
const window = 100;

/**
 * A partition of a work topic. Takes a few parts at once, in whatever order they end, and commits up to the oldest open one.
 * Without a ledger in its topic it takes none.
 */
export class WorkPartition implements PartitionHandler {
  readonly #context: PartitionContext;
  readonly #partContext: OpenPartContext | undefined;
  readonly #offsets = new OpenOffsets();
  readonly #leaving = new AbortController();
  readonly #lost = new AbortController();
  readonly #parts = new Set<OpenPart>();
  readonly #runs = new Set<Promise<void>>();
  /** The last task of each name. */
  readonly #turns = new Map<string, Promise<void>>();
  readonly #commitTogether: (offset: bigint) => Promise<void>;
  /** What is known to be committed: before the first record, all before it. */
  #committed: bigint | undefined;
  #isFlowing = true;
  #closing: Promise<void> | undefined;

  constructor(topic: AnyRequestTopic, context: PartitionContext) {
    const { ledger } = topic;
    this.#context = context;
    this.#partContext = ledger && {
      ...context,
      topic,
      ledger,
      read: workReader(topic, context.maxMessageBytes),
      leaving: this.#leaving.signal,
      lost: this.#lost.signal,
      inTurn: (name, task) => this.#inTurn(name, task),
    };
    this.#commitTogether = together(() => this.#commit());
    this.#flow();
  }

  onRecord(record: SourceRecord): void {
    const { offset } = record;
    if (this.#partContext === undefined || this.#leaving.signal.aborted || !this.#offsets.take(offset)) return;
    this.#committed ??= offset;
    const part = new OpenPart(record, this.#partContext);
    this.#parts.add(part);
    const run = this.#see(part, offset).finally(() => this.#runs.delete(run));
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
    const { topic, partition } = this.#context.place;
    const reason = new FencedError(`${topic}-${partition} is not this worker's any more`);
    this.#leaving.abort(reason);
    this.#lost.abort(reason);
    for (const part of this.#parts) part.lose(reason);
    await Promise.all(this.#runs);
  }

  /** From a record's arrival until it is committed as done, or left as it is. */
  async #see(part: OpenPart, offset: bigint): Promise<void> {
    try {
      await part.run();
    } catch {
      return; // Left: whoever has the partition next gets it again.
    } finally {
      this.#parts.delete(part);
    }
    this.#offsets.finish([offset]);
    this.#flow();
    await this.#commitTogether(offset);
  }

  async #commit(): Promise<void> {
    const { place, epoch, source } = this.#context;
    for (const backoff = new Backoff(); ;) {
      const { offset } = this.#offsets.stateAfter();
      if (offset === this.#committed || this.#lost.signal.aborted) return;
      try {
        await source.commit({ ...place, offset: offset - 1n }, epoch);
        this.#committed = offset;
        return;
      } catch {
        // What is not committed is found in the ledger by whoever gets it again.
        if (this.#leaving.signal.aborted) return;
        await pause(backoff.next(), this.#leaving.signal).catch(() => undefined);
      }
    }
  }

  /** Lets records come while there is room for them. */
  #flow(): void {
    const { place, source, maxOpen } = this.#context;
    const hasRoom = this.#offsets.size < Math.min(maxOpen, maxOpenParts) && this.#offsets.span() < window;
    const flows = this.#partContext !== undefined && hasRoom && !this.#leaving.signal.aborted;
    if (flows === this.#isFlowing) return;
    this.#isFlowing = flows;
    if (flows) source.resume([place]);
    else source.pause([place]);
  }

  async #inTurn(name: string, task: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(name);
    const run = before === undefined ? task() : before.then(task);
    const ended = run.catch(() => undefined);
    this.#turns.set(name, ended);
    try {
      await run;
    } finally {
      if (this.#turns.get(name) === ended) this.#turns.delete(name);
    }
  }
}
