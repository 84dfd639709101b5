import { describe, expect, it } from 'vitest';
import { Reader, until } from '../../../src/testing/recordCases/Reader.ts';
import { openKafka } from '../../kafka/harness.ts';
import { kafkaBroker } from '../../support/kafka.ts';
import { track } from '../../support/track.ts';
import { cli } from '../support/cli.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];

// issue 10, 8
describe.skipIf(broker === undefined)('partitions skip', () => {
  it('leaves out what holds a partition of a worker, which goes on', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(2);
    const env = { KAFKA_BROKER: brokers.join(','), KAFKA_CONSUMER_GROUP_ID: topic };
    await using sink = track(kafka.sink(), (opened) => opened.close());
    await sink.send([{ topic, partition: 1, value: 'a' }]);
    await kafka.sendUndecodable?.(topic, 1);
    await sink.send([{ topic, partition: 1, value: 'b' }]);
    await using source = track(kafka.source(topic, [topic]), (opened) => opened.stop());
    const told: string[] = [];
    const reader = await new Reader(source).run({
      onUndecodable: ({ offset, next }, { message }) => told.push(`held at ${offset} up to ${next}: ${message}`),
      onReleased: () => told.push('released'),
    });
    await until('the word of it', () => told.length === 1);
    expect(told[0]).toBe(
      `held at 1 up to 2: Kafka: ${topic}-1: what stands at offset 1 cannot be decoded: ` +
        'zstd: it would become more than 64 MiB',
    );

    const wrong = await cli(['partitions', 'skip', topic, '1', '2', '--yes'], { env });
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toBe(
      `fintrack-pipelines: skip: ${topic}-1: what stands at offset 2 can be decoded, or is not to be read; nothing was changed\n`,
    );
    const done = await cli(['partitions', 'skip', topic, '1', '1', '--yes', '--brokers', brokers.join(',')], {
      env: { KAFKA_CONSUMER_GROUP_ID: topic },
    });
    expect(done).toMatchObject({ code: 0, stdout: '', listeners: 0 });
    expect(done.stderr).toMatch(new RegExp(`^skipped offset 1 of ${topic}-1: \\d+ bytes went to ${topic}-dlt\n$`));
    await reader.read(2);
    expect(reader.values()).toEqual(['a', 'b']);
    expect(told.slice(1)).toEqual(['released']);
    const [letter] = await kafka.records(`${topic}-dlt`);
    expect([
      letter?.partition,
      letter?.headers.some(({ value }) => String(Buffer.from(value)).includes('[undecodable]')),
    ]).toEqual([1, true]);
    const again = await cli(['partitions', 'skip', topic, '1', '1', '--yes'], { env });
    expect(again.stderr).toContain('the group is done with offset 1 already; nothing was changed');
  }, 60_000);
});

describe('partitions says in one sentence', () => {
  it.each([
    [[], 'partitions: expected skip TOPIC PARTITION OFFSET; see fintrack-pipelines partitions --help'],
    [['skip', 'A', '0'], 'partitions: expected skip TOPIC PARTITION OFFSET'],
    [['list', 'A', '0', '1'], 'partitions: expected skip TOPIC PARTITION OFFSET'],
    [['skip', 'A', '0', '1'], 'partitions: skip leaves out offset 1 of A-0 for good: give --yes'],
    [['skip', 'A', 'x', '1', '--yes'], "partitions: expected the number of a partition, got 'x'"],
    [['skip', 'A', '0', '1.5', '--yes'], "partitions: expected the number of an offset, got '1.5'"],
    [['skip', 'me:canary@host', '0', '1', '--yes'], 'partitions: expected the name of a topic, got that is not shown'],
    [['skip', 'A', '0', '1', '--yes'], 'KAFKA_BROKER is not set'],
  ])('what is wrong with %j', async (argv, expected) => {
    const { code, stdout, stderr } = await cli(['partitions', ...argv]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`fintrack-pipelines: ${expected}`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('canary');
  });

  it('what it does, with --help', async () => {
    expect((await cli(['partitions', '--help'])).stdout).toContain('partitions skip TOPIC PARTITION OFFSET --yes');
    expect((await cli(['--help'])).stdout).toMatch(/partitions +Leaves out/);
  });
});
