import { openWorkerBench, type WorkerBench, type WorkerBenchOptions } from './workerBench.ts';

/** The bench; undefined where there is no broker, which is said once. In CI that is a failure. */
export async function requireBench(options: WorkerBenchOptions): Promise<WorkerBench | undefined> {
  const bench = await openWorkerBench(options);
  if (!('missing' in bench)) return bench;
  const line = `The tests with workers were left out, because there is no Kafka broker: ${bench.missing}.`;
  if (process.env['CI'] === 'true') throw new Error(`CI=true, and yet: ${line}`);
  console.log(line);
  return undefined;
}
