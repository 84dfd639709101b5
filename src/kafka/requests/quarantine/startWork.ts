import { randomUUID } from 'node:crypto';
import { orAborted } from '../../../flow/orAborted.ts';
import { pause } from '../../../flow/pause.ts';
import { PipelineError } from '../../../model/errors.ts';
import type { Ledger, LedgerStart } from '../../../model/ports.ts';
import type { WorkerEvent } from '../../../model/workerEvents.ts';
import type { Place, Quarantine } from './Quarantine.ts';

/** How long it may take to hand a start back: a process that is to end does not wait for its database. */
const handingBackMs = 2_000;

/** Before its starts alone it waits so long, each time five times as long as before: 2 s, 10 s, 50 s, up to the longest. */
const [firstPauseMs, longestPauseMs] = [2_000, 60_000];

export interface StartWorkOptions {
  /** The ledger key of the request. */
  readonly key: string;
  /** The batch of a shared request. Missing: it is the request that is started. */
  readonly batch?: number | undefined;
  /** Missing: starts are not counted. */
  readonly ledger: Ledger<unknown, unknown> | undefined;
  readonly quarantine: Quarantine;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Asks the ledger until it answers. */
  readonly persist: (task: () => Promise<number>) => Promise<number>;
  /** Told when it waits to be started alone: nobody has to keep behind it. */
  readonly onSuspect?: (() => void) | undefined;
  readonly emit: (event: WorkerEvent) => void;
}

/** Work that was started, and counted. */
export interface StartedWork {
  /** Aborted when it has to make room for somebody else. */
  readonly recall: AbortSignal;
  /** It is not at work any more; what is not done is handed back. Does not reject; calls after the first do nothing. */
  end(isDone: boolean): Promise<void>;
}

/**
 * Starts a request, or a batch of a shared one, as soon as it may be started in this process: alone, when processes ended with
 * it before. It is counted only then, so that what waits is not blamed for the end of a process.
 *
 * Before it is alone the process has to live for a while without it, while others are at work; the longer, the more often it was
 * alone when its process ended. Where processes end of something else they end in that time, and it is not blamed.
 *
 * Answers why it is not started, when that has happened too often; rejects when the wait is ended.
 */
export async function startWork(options: StartWorkOptions): Promise<StartedWork | PipelineError> {
  const { key, batch, ledger, quarantine, signal, persist, onSuspect, emit } = options;
  const { after, starts } = quarantine.settings;
  for (let isAlone = false; ; isAlone = true) {
    const place = await quarantine.enter({ isAlone, signal });
    if (ledger === undefined) return startedWork(place, () => Promise.resolve());
    const start: LedgerStart = { key, batch, token: randomUUID() };
    let counting: Promise<unknown> = Promise.resolve();
    const handBack = (): Promise<void> => soon(counting.catch(() => undefined).then(() => ledger.handBack(start)));
    const below = isAlone ? after + starts : after;
    try {
      const lost = await persist(() => {
        const answer = ledger.begin(start, below);
        counting = answer;
        return answer;
      });
      if (lost < below) {
        if (isAlone) emit({ type: 'request-quarantined', key, batch, lost });
        return startedWork(place, handBack);
      }
      place.leave();
      if (lost >= after + starts) return exhausted(options, lost, starts);
      onSuspect?.();
      await pause(Math.min(longestPauseMs, firstPauseMs * 5 ** (lost - after)), signal);
    } catch (error) {
      place.leave();
      // It may be counted all the same, now or later.
      await handBack();
      throw error;
    }
  }
}

function startedWork(place: Place, handBack: () => Promise<void>): StartedWork {
  let isOver = false;
  return {
    recall: place.recall,
    end: async (isDone) => {
      place.leave();
      if (!isDone && !isOver) await handBack();
      isOver = true;
    },
  };
}

/** Waits for a hand-back, but not for long. One that fails counts as a lost start, of which a request survives a few. */
async function soon(handBack: Promise<void>): Promise<void> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), handingBackMs);
  await orAborted(handBack, over.signal).catch(() => undefined);
  clearTimeout(timer);
}

function exhausted({ key, batch }: StartWorkOptions, lost: number, alone: number): PipelineError {
  const what = batch === undefined ? `request ${key}` : `batch ${batch} of request ${key}`;
  const message = `${what}: the process ended at each of its last ${lost} starts, ${alone} of them with nothing beside it`;
  return new PipelineError('request_exhausted', message);
}
