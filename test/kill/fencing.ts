import { requestFor, topics } from '../support/workers/requests.ts';
import { groupId, type WorkerBench } from '../support/workers/workerBench.ts';
import { within } from '../support/within.ts';

const patienceMs = 60_000;

/**
 * Stops a worker as it is about to commit an announcement, waits until another one has taken over and announced, and lets the
 * first go on: it must be refused. Answers the error code that it got from Kafka, or what did not happen.
 */
export async function stopAndGoOn(bench: WorkerBench): Promise<number | string> {
  const transactionalId = wireText(`${groupId}-${topics.market.request}-${bench.nextPartition()}`);
  let isFenced = false;
  let stopped: number | undefined;
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let answered = (_: number | string): void => undefined;
  const answer = new Promise<number | string>((resolve) => (answered = resolve));
  const isStopped = new Promise<void>((resolve) => {
    for (const worker of bench.workers) {
      worker.wire.watch = {
        onRequest({ name, commits, bytes }) {
          // Without it the broker would end the transaction, too, once its time is over.
          if (name === 'InitProducerId' && stopped !== undefined) isFenced ||= bytes.includes(transactionalId);
          if (name !== 'EndTxn' || commits !== true || stopped !== undefined) return undefined;
          if (!bytes.includes(transactionalId)) return undefined;
          stopped = worker.process.number;
          worker.process.signal('SIGSTOP');
          resolve();
          return held;
        },
        onAnswer({ name, commits, errorCode }) {
          if (name !== 'EndTxn' || commits !== true || worker.process.number !== stopped) return;
          answered(errorCode ?? 'no code');
        },
      };
    }
  });
  try {
    const [request] = await bench.send([requestFor('market', bench.nextNumber(), 3)]);
    if (!(await isInTime(isStopped))) return 'nobody announced';
    const isAnnounced = bench.answers.until(() => bench.answers.records.some(({ key }) => key === request!.key));
    if (!(await isInTime(isAnnounced))) return 'nobody took over';
    if (!isFenced) return 'nobody took over the transactional id';
    letGo();
    bench.workers[stopped!]!.process.signal('SIGCONT');
    return (await within(patienceMs, answer)) ?? 'the stopped worker got no answer';
  } finally {
    letGo();
    if (stopped !== undefined) bench.workers[stopped]!.process.signal('SIGCONT');
    for (const { wire } of bench.workers) wire.watch = undefined;
  }
}

async function isInTime(promise: Promise<void>): Promise<boolean> {
  return (
    (await within(
      patienceMs,
      promise.then(() => true),
    )) === true
  );
}

/** A text as Kafka's protocol has it, led by its length. */
function wireText(text: string): Buffer {
  const length = Buffer.alloc(2);
  length.writeInt16BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
}
