import { describe, expect, it } from 'vitest';
import { deadLetterRecord } from '../../../src/kafka/records/deadLetterRecord.ts';
import { kafkaSink } from '../../../src/kafka/kafkaSink.ts';
import { RequestError } from '../../../src/model/errors.ts';
import { openKafka } from '../../kafka/harness.ts';
import { requestRecord } from '../../kafka/records/records.ts';
import { createTopics } from '../../support/broker/createTopics.ts';
import { kafkaBroker } from '../../support/kafka.ts';
import { kafkaSaslPassword } from '../../support/kafkaBroker.ts';
import { track } from '../../support/track.ts';
import { cli } from '../support/cli.ts';

const broker = await kafkaBroker();
const brokers = broker?.brokers ?? [];
const secret = 'canary-password';

describe.skipIf(broker === undefined)('redrive', () => {
  it('sends dead letters again, says how many, and ends', async () => {
    await using kafka = track(await openKafka(brokers));
    const topic = await kafka.createTopic(1);
    const env = { KAFKA_BROKER: brokers.join(','), KAFKA_CONSUMER_GROUP_ID: topic };
    const missing = await cli(['redrive', `${topic}-dlt`], { env });
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toBe(`fintrack-pipelines: redrive: there is no topic ${topic}-dlt\n`);

    await createTopics(kafka.admin, [{ topic: `${topic}-dlt` }]);
    await using sink = track(kafkaSink({ brokers }), (opened) => opened.close());
    const lettersOf = (value: string) =>
      deadLetterRecord(
        requestRecord({ topic, partition: 0, value: Buffer.from(value) }),
        new RequestError('timeout', 'no'),
        {
          ...{ topic: `${topic}-dlt`, groupId: topic },
        },
      );
    await sink.send(['a', 'b', 'x'.repeat(2_000_000)].map(lettersOf));

    const limited = await cli(['redrive', `${topic}-dlt`, '--limit', '1'], { env });
    expect(limited).toMatchObject({ code: 0, stdout: '' });
    expect(limited.stderr).toBe(
      `sent 1 record of ${topic}-dlt to ${topic} again\nthe limit was reached: there may be more\n`,
    );
    const rest = await cli(['redrive', `${topic}-dlt`, '--brokers', brokers.join(',')], {
      env: { KAFKA_CONSUMER_GROUP_ID: topic },
    });
    expect(rest).toMatchObject({ code: 0, stdout: '', listeners: 0 });
    expect(rest.stderr).toBe(
      `sent 1 record of ${topic}-dlt to ${topic} again\n` +
        `left out 1, of which ${topic}-dlt has only the beginning: their clients must ask again\n`,
    );
    const nothing = await cli(['redrive', `${topic}-dlt`], { env });
    expect(nothing.stderr).toBe(`nothing to send again: all dead letters of ${topic}-dlt were sent before\n`);
    expect((await kafka.records(topic)).map(({ value }) => String(value))).toEqual(['a', 'b']);
  }, 30_000);

  it.skipIf(broker?.saslBrokers === undefined)(
    'logs in, and shows no password of a login that is refused',
    async () => {
      const env = {
        KAFKA_BROKER: (broker?.saslBrokers ?? []).join(','),
        KAFKA_SASL_MECHANISM: 'PLAIN',
        KAFKA_SASL_USERNAME: 'tester',
      };
      const refused = await cli(['redrive', 'missing-dlt'], { env: { ...env, KAFKA_SASL_PASSWORD: secret } });
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toMatch(/^fintrack-pipelines: Kafka: looking for topics: /);
      expect(refused.stderr).not.toContain(secret);
      const accepted = await cli(['redrive', 'missing-dlt'], {
        env: { ...env, KAFKA_SASL_PASSWORD: kafkaSaslPassword },
      });
      expect(accepted.stderr).toBe('fintrack-pipelines: redrive: there is no topic missing-dlt\n');
    },
    30_000,
  );
});

describe('redrive says in one sentence', () => {
  it.each([
    [[], 'redrive: a topic is missing: give one that ends in -dlt; see fintrack-pipelines redrive --help'],
    [['REQUESTS'], "redrive: expected a topic that ends in -dlt, got 'REQUESTS'"],
    [['me:canary@host-dlt'], 'redrive: expected a topic that ends in -dlt, got a value that is not shown'],
    [['A-dlt', '--limit', '0'], "redrive: --limit: expected a whole number from 1 to 999999999, got '0'"],
    [['A-dlt'], 'KAFKA_BROKER is not set: set it to the address of a broker as host:port'],
    [['A-dlt', '--brokers', 'me:canary@host:1'], '--brokers: expected host:port, or several separated by commas'],
    [
      ['A-dlt', '--brokers', '127.0.0.1:1'],
      'Kafka: looking for topics: Connection error: connect ECONNREFUSED 127.0.0.1:1',
    ],
  ])('what is wrong with %j', async (argv, expected) => {
    const { code, stdout, stderr } = await cli(['redrive', ...argv]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`fintrack-pipelines: ${expected}`);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(stderr).not.toContain('canary');
  });

  it('what it does, with --help', async () => {
    expect((await cli(['redrive', '--help'])).stdout).toContain('Usage: fintrack-pipelines redrive TOPIC-dlt');
    expect((await cli(['--help'])).stdout).toContain('redrive    Sends dead letters again');
  });
});
