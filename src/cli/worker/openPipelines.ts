import type { Observer } from 'rxjs';
import type { ProgressEvent, Publisher, RunEvent } from '../../index.ts';
import type { Database } from '../../postgres/index.ts';
import { patientLimiter } from '../jobs/patientLimiter.ts';
import { SharedLimiters } from '../jobs/SharedLimiters.ts';
import type { DatabaseWatch } from './watch/DatabaseWatch.ts';
import { lanes, type OpenPipeline, type ReadPipeline } from './pipelines.ts';
import type { WorkerLog } from './watch/WorkerLog.ts';
import type { WorkerMetrics } from './watch/WorkerMetrics.ts';

/**
 * A provider that is down is waited for, however long that takes, and does nothing to the requests that wait; before that, an
 * input is tried often enough for its failures to show that it is the provider that fails.
 */
export const patience = { outageMs: Infinity, maxRetries: 5, circuitFailures: 5 };

export interface OpenPipelinesOptions {
  readonly pipelines: readonly ReadPipeline[];
  /** Undefined: everything is kept in memory. */
  readonly database: Database | undefined;
  /** Where credits are counted. */
  readonly counts: Database | undefined;
  readonly databaseWatch: DatabaseWatch;
  readonly metrics: WorkerMetrics;
  readonly progressTo: (topic: string) => Publisher<ProgressEvent>;
  /** Sees everything that happens in the pipelines. */
  readonly events: Pick<Observer<RunEvent>, 'next'>;
  readonly log: WorkerLog;
  /** Ends the waits for the database. */
  readonly handBack: AbortSignal;
}

export interface OpenPipelines extends AsyncDisposable {
  readonly pipelines: readonly OpenPipeline[];
}

/** Opens the pipelines of a worker. They share one limiter for each API key; disposing of them gives back what that has booked. */
export function openPipelines(options: OpenPipelinesOptions): OpenPipelines {
  const { pipelines, databaseWatch, events, log, ...rest } = options;
  const { counts } = rest;
  const limiters = new SharedLimiters({
    lanesOf: (provider) =>
      pipelines
        .filter(({ providers }) => providers.some((each) => each === provider))
        .map((each) => lanes[each.pipeline]),
    wrap: (limiter) => {
      const { onAway, onBack } = databaseWatch.waiter();
      return patientLimiter(limiter, { onAway, onGrant: onBack, probe: counts && (() => counts.probe()) });
    },
  });
  const sharing = { limiters, patience };
  const opened = pipelines.map(({ pipeline, open }) =>
    open({
      ...rest,
      sharing,
      tell: (line) => {
        log.line(line);
      },
      waiter: databaseWatch.waiter(),
      events: {
        next: (event) => {
          log.onRun(pipeline, event);
          events.next(event);
        },
      },
    }),
  );
  return { pipelines: opened, [Symbol.asyncDispose]: () => limiters[Symbol.asyncDispose]() };
}
