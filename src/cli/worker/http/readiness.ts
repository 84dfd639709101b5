import type { PipelineName, ProviderHealth } from '../../../index.ts';
import { jsonPage, type Page } from './httpServer.ts';
import type { HeldPartition } from '../watch/HeldWatch.ts';
import type { Probe } from './Probe.ts';

export type WorkerState = 'starting' | 'running' | 'draining';

/** What readiness depends on. */
export interface ReadinessParts {
  readonly state: () => WorkerState;
  readonly groupId: string;
  /** Whether the worker is a member of its group. */
  readonly isJoined: () => boolean;
  /** The partitions that are held by what cannot be decoded. Default: none. */
  readonly held?: (() => readonly HeldPartition[]) | undefined;
  /** Undefined: everything is kept in memory. */
  readonly database: Probe | undefined;
  /** Whether requests wait for what the deployment of the database lacks, such as a table or a right. Default: never. */
  readonly isDatabaseNotReady?: (() => boolean) | undefined;
  readonly providers: readonly PipelineHealth[];
}

export interface PipelineHealth {
  readonly pipeline: PipelineName;
  readonly health: () => readonly ProviderHealth[];
}

/** Whether requests can be served: 200 or 503, and in either case which part is how. No message: only stable codes. */
export async function readyPage(parts: ReadinessParts): Promise<Page> {
  const { state, groupId, isJoined, held, providers } = parts;
  const heldNow = held?.() ?? [];
  const kafka = {
    ready: isJoined() && heldNow.length === 0,
    group: groupId,
    ...(heldNow.length === 0 ? {} : { held: heldNow }),
  };
  const postgresql = await databaseReport(parts);
  const pipelines = providers.map(({ pipeline, health }) => pipelineReport(pipeline, health()));
  const ready = state() === 'running' && [kafka, postgresql, ...pipelines].every((part) => part.ready);
  return jsonPage(ready ? 200 : 503, { ready, state: state(), kafka, postgresql, pipelines });
}

async function databaseReport({
  database,
  isDatabaseNotReady,
}: ReadinessParts): Promise<{ readonly ready: boolean; readonly memory?: true; readonly error?: string }> {
  if (database === undefined) return { ready: true, memory: true };
  if (isDatabaseNotReady?.() === true) return { ready: false, error: 'database_not_ready' };
  return { ready: await database.isThere() };
}

interface PipelineReport {
  readonly pipeline: PipelineName;
  readonly ready: boolean;
  readonly providers: readonly object[];
}

function pipelineReport(pipeline: PipelineName, health: readonly ProviderHealth[]): PipelineReport {
  return {
    pipeline,
    ready: health.length === 0 || health.some(isAnswering),
    providers: health.map(({ provider, state, error, until }) => ({ provider, state, error: error?.code, until })),
  };
}

/** A quota that is used up is an answer: requests are told so. */
function isAnswering({ state }: ProviderHealth): boolean {
  return state === 'up' || state === 'exhausted';
}
