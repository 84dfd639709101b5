import { within } from '../within.ts';
import { isAllAnswered } from './findProblems.ts';
import type { WorkerBench } from './workerBench.ts';

/** How long it may take until all is answered. */
const settleMs = 120_000;

/** Lets the workers answer all that is open, and stop; then all is read that they have answered. */
export async function settle(bench: WorkerBench): Promise<void> {
  await within(
    settleMs,
    bench.answers.until(() => isAllAnswered(bench)),
  );
  for (const { process } of bench.workers) {
    if (!process.isRunning) continue;
    const end = await within(20_000, process.stop());
    if (end?.code !== 0) process.surprises.push(`worker ${process.number} did not stop in order:\n${process.log}`);
    await process.kill();
  }
  await bench.answers.toTheEnd();
}
