// Issue 10, item 8: what cannot be decoded holds its partition, and no other, until it is left out.
// Before kafkajs is loaded: see there.
import '../support/committedOnly.ts';
import { afterAll, expect, it } from 'vitest';
import { readCommitted } from '../../src/kafka/client/readCommitted.ts';
import { cli } from '../cli/support/cli.ts';
import { openKafka } from '../kafka/harness.ts';
import { deferred } from '../support/deferred.ts';
import { track } from '../support/track.ts';
import { pause, within } from '../support/within.ts';
import { compileWorkers } from '../support/workers/compileWorkers.ts';
import { requestFor, topics, type Lane } from '../support/workers/requests.ts';
import { requireBench } from '../support/workers/requireBench.ts';
import { settle } from '../support/workers/settle.ts';
import { groupId } from '../support/workers/workerBench.ts';

const program = await compileWorkers();
const opened = await requireBench({
  ...{ workers: 1, partitions: 1, program: program.main, words: ['work', '--port', '0'] },
});
const bench = opened!;
afterAll(async () => {
  await opened?.[Symbol.asyncDispose]();
  await program[Symbol.asyncDispose]();
});

const place = { topic: topics.market.request, partition: 0 };

async function send(lane: Lane, held?: Promise<void>) {
  const request = requestFor(lane, bench.nextNumber(), 3);
  if (held !== undefined) bench.prices.held = { symbols: request.symbols, until: held };
  const [sent] = await bench.send([request]);
  return sent!;
}

const answered = (key: string): Promise<void> =>
  within(
    60_000,
    bench.answers.until(() => bench.answers.records.some((record) => record.key === key)),
  );

/** The parts of a line that the worker has written, once it has. */
async function logged(pattern: RegExp): Promise<RegExpExecArray> {
  const { process } = bench.workers[0]!;
  for (let looks = 0; looks < 1_200; looks += 1) {
    const found = pattern.exec(process.log);
    if (found !== null) return found;
    await pause(50);
  }
  throw new Error(`not written: ${String(pattern)}\n${process.log}`);
}

const committed = () => readCommitted(bench.admin, { ...place, group: groupId });

it.skipIf(opened === undefined)(
  'a worker goes on behind what was left out, and what was open or done stays so',
  async () => {
    const { process } = bench.workers[0]!;
    await using kafka = track(await openKafka(bench.broker.brokers));
    process.start();
    const [, url] = await logged(/http: (http:\S+) serves/);
    const page = async (path: string) => {
      const response = await fetch(`${url}${path}`);
      return { status: response.status, body: await response.text() };
    };
    const provided = deferred();
    await answered((await send('market')).key);
    const open = await send('market', provided.promise);
    await answered((await send('market')).key);
    await kafka.sendUndecodable?.(place.topic, place.partition);
    const later = await send('market');

    await logged(/partition \S+-0: held at offset 3, the others go on: .*zstd: it would become more than 64 MiB/);
    await answered((await send('index')).key);
    const ready = await page('/readyz');
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.body)).toMatchObject({ ready: false, kafka: { held: [{ ...place, offset: '3' }] } });
    expect((await page('/metrics')).body).toContain(`fintrack_partitions_held{topic="${place.topic}"} 1\n`);
    expect(await committed()).toEqual({ offset: 1n, announced: new Set([2n]) });

    const skip = (offset: string) =>
      cli(['partitions', 'skip', place.topic, '0', offset, '--yes'], {
        env: { KAFKA_BROKER: bench.broker.brokers.join(','), KAFKA_CONSUMER_GROUP_ID: groupId },
      });
    expect((await skip('4')).stderr).toContain(
      'what stands at offset 4 can be decoded, or is not to be read; nothing was changed',
    );
    expect(await skip('3')).toMatchObject({ code: 0, listeners: 0 });
    expect(await committed()).toEqual({ offset: 1n, announced: new Set([2n, 3n]) });

    await answered(later.key);
    await logged(/partition \S+-0: goes on/);
    expect(await committed()).toEqual({ offset: 1n, announced: new Set([2n, 3n, 4n]) });
    expect((await page('/readyz')).status).toBe(200);
    provided.resolve();
    await answered(open.key);
    await settle(bench);

    expect(await committed()).toEqual({ offset: 5n, announced: new Set() });
    const letters = bench.answers.records.filter(({ topic }) => topic.endsWith('-dlt'));
    expect(letters.map(({ topic, partition }) => [topic, partition])).toEqual([[`${place.topic}-dlt`, 0]]);
    const { 'kafka_dlt-original-offset': offset, 'kafka_dlt-exception-stacktrace': trace } = letters[0]?.headers ?? {};
    expect((offset as Buffer).readBigInt64BE()).toBe(3n);
    expect(String(trace)).toContain('[undecodable]');
    expect(letters[0]?.value?.length).toBeGreaterThan(0);
    // Each request once.
    const completions = bench.answers.records.filter(({ topic }) => !topic.endsWith('-dlt')).map(({ key }) => key);
    expect(completions.sort()).toEqual(bench.sent.map(({ key }) => key).sort());
    expect(process.surprises).toEqual([]);
  },
);
