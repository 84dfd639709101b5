import type { WorkerParts } from './openParts.ts';
import type { WorkOptions } from './workOptions.ts';

/** Says what the worker is going to do, one line each. */
export function tellStart(options: WorkOptions, parts: WorkerParts, url: string, say: (line: string) => void): void {
  const { kafka, pipelines } = options;
  const { database } = parts;
  const stored =
    database === undefined
      ? 'everything in memory: nothing is kept, and nothing shared with other workers'
      : `database "${database.server.database}" at ${database.server.host}, schema "${database.schema}"`;
  say(`worker: group ${kafka.groupId} at ${kafka.connection.brokers.join(',')}; ${stored}`);
  for (const [index, { topic }] of parts.pipelines.entries()) {
    const [first, ...others] = pipelines[index]?.providers ?? [];
    say(`worker: ${topic.topic} by ${[first, ...others.map((other) => `then ${other}`)].join(', ')}`);
  }
  say(`http: ${url} serves /metrics, /healthz and /readyz`);
}
