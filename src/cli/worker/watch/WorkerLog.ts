import type { CompletionEvent, PipelineName, RunEvent } from '../../../index.ts';
import type { KafkaLog, WorkerEvent, WorkerObserver } from '../../../kafka/index.ts';
import { duration } from '../../output/duration.ts';
import { sentence } from '../../output/sentence.ts';
import { timeOf } from '../../output/time.ts';
import type { Writer } from '../../output/writer.ts';

/** A shorter wait is over before anybody has read of it. */
const worthALineMs = 1_000;
/** So often at most a pipeline says that it waits for credits. */
const betweenWaitsMs = 30_000;

export interface WorkerLogOptions {
  readonly writer: Pick<Writer, 'log'>;
  /** The clock, in epoch milliseconds. Default: `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** What a worker tells its operators: one line for each thing that happens, with the time before it. */
export class WorkerLog implements WorkerObserver {
  readonly #writer: Pick<Writer, 'log'>;
  readonly #now: () => number;
  /** What became of the symbols of requests that are being announced, by their keys. */
  readonly #results = new Map<string, string>();
  readonly #toldWaitAt = new Map<PipelineName, number>();

  constructor({ writer, now = () => Date.now() }: WorkerLogOptions) {
    this.#writer = writer;
    this.#now = now;
  }

  line(text: string): void {
    // Texts of others, such as a symbol in an error, must not begin a line of their own, or color the terminal.
    this.#writer.log(`${new Date(this.#now()).toISOString()} ${text.replaceAll(/\p{Cc}+/gu, ' ')}`);
  }

  next(event: WorkerEvent): void {
    const text = this.#textOf(event);
    if (text !== undefined) this.line(text);
  }

  /** Tells of waits for credits, at most twice a minute. */
  onRun(pipeline: PipelineName, event: RunEvent): void {
    if (event.type !== 'waiting' || event.credits === undefined) return;
    const now = this.#now();
    const isShort = event.until.getTime() - now < worthALineMs;
    if (isShort || now - (this.#toldWaitAt.get(pipeline) ?? -Infinity) < betweenWaitsMs) return;
    this.#toldWaitAt.set(pipeline, now);
    const credits = event.credits === 1 ? '1 credit' : `${event.credits} credits`;
    this.line(`${pipeline}: waiting for ${credits} until ${timeOf(event.until, new Date(now))}`);
  }

  /** The client of Kafka speaks for itself only where somebody should look. */
  readonly onKafka = ({ level, message, from }: KafkaLog): void => {
    if (level === 'warn' || level === 'error') this.line(`kafka: ${from}: ${message}`);
  };

  /** What will stand in the line of the request, once it is announced; the function returned forgets it. */
  expect(key: string, completion: CompletionEvent): () => void {
    const { failed, skipped } = completion;
    const total = 'totalSymbols' in completion ? completion.totalSymbols : completion.totalAssets;
    const lost = [
      failed.length === 0 ? '' : `, ${failed.length} failed`,
      skipped.length === 0 ? '' : `, ${skipped.length} skipped`,
    ];
    const served = total - failed.length - skipped.length;
    this.#results.set(key, `: ${served} of ${plural(total, 'symbol')} served${lost.join('')}`);
    return () => {
      this.#results.delete(key);
    };
  }

  #textOf(event: WorkerEvent): string | undefined {
    switch (event.type) {
      case 'partition-owned': {
        const { place, offset, announced } = event;
        const done = announced === 0 ? '' : `, ${announced} after it done`;
        return `partition ${place.topic}-${place.partition}: owned from offset ${offset}${done}`;
      }
      case 'partition-lost': {
        const { place, open } = event;
        const left = open === 0 ? '' : `, ${plural(open, 'request')} left to its next owner`;
        return `partition ${place.topic}-${place.partition}: lost${left}`;
      }
      case 'partition-waiting': {
        const { place, delayMs, error } = event;
        return `partition ${place.topic}-${place.partition}: waiting for Kafka, again in ${duration(delayMs)}: ${sentence(error)}`;
      }
      case 'partition-held': {
        const { place, error } = event;
        return `partition ${place.topic}-${place.partition}: held at offset ${place.offset}, the others go on: ${sentence(error)}`;
      }
      case 'partition-released': {
        const { place, isLost } = event;
        return isLost ? undefined : `partition ${place.topic}-${place.partition}: goes on`;
      }
      case 'interrupted':
        return `kafka: the group is lost, joining again: ${sentence(event.error)}`;
      case 'request-accepted': {
        const { key, inputs, batches, storedBatches = 0, isShared } = event;
        const stored = storedBatches === 0 ? '' : `, ${storedBatches} of them done before`;
        const shared = isShared ? ', shared with all workers' : '';
        return `request ${key}: accepted, ${plural(inputs, 'symbol')} in ${plural(batches, 'batch')}${stored}${shared}`;
      }
      case 'request-retried':
        return `request ${event.key}: again in ${duration(event.delayMs)}: ${sentence(event.error)}`;
      case 'request-quarantined': {
        const { key, batch, lost } = event;
        const what = batch === undefined ? '' : `batch ${batch + 1} `;
        return `request ${key}: ${what}in quarantine, nothing beside it: ${plural(lost, 'process')} ended with it before`;
      }
      case 'request-announced': {
        const { key, status, durationMs } = event;
        return `request ${key}: ${status}${this.#results.get(key) ?? ''} in ${duration(durationMs)}`;
      }
      case 'dead-lettered':
        return `request ${event.key}: dead letter: ${event.error.code}: ${sentence(event.error)}`;
      case 'part-done': {
        const outcome = event.error === undefined ? 'done here' : `given up here: ${sentence(event.error)}`;
        return `request ${event.key}: batch ${event.batch + 1} ${outcome}`;
      }
      default:
        return undefined;
    }
  }
}

function plural(count: number, word: string): string {
  if (count === 1) return `1 ${word}`;
  return `${count} ${word}${/[hs]$/.test(word) ? 'es' : 's'}`;
}
