import { OptionsError } from '../../index.ts';
import { kafkaSink, kafkaSource, kafkaTopics, skipUndecodable } from '../../kafka/index.ts';
import { exitComplete, type Command, type Invocation } from '../command.ts';
import { readKafka } from '../input/kafkaVariables.ts';
import { shown } from '../input/parseArguments.ts';

const help = `Leaves out what holds a partition because it cannot be decoded.

Usage: fintrack-pipelines partitions skip TOPIC PARTITION OFFSET --yes [options]

The worker's log and its page /readyz name the topic, the partition and the offset. What is stored there goes to
TOPIC-dlt as it is, as a dead letter with the code undecodable, in the transaction that commits that the group is done
with it; of a batch that is compressed or broken as a whole, all records from the offset on. The worker goes on by
itself, within 10 seconds. Nothing is changed unless that very offset is what holds the partition. Who asked for what is
left out is not known, and is not told.

Options:
  --yes           Needed: what is left out is not answered.
  --brokers LIST  host:port, or several separated by commas. Default: KAFKA_BROKER.
  --help          Shows this.

Environment: KAFKA_BROKER, KAFKA_CONSUMER_GROUP_ID (etl-job-consumer-group), KAFKA_SSL (false), KAFKA_SASL_MECHANISM,
KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD.`;

/** One that was killed is missed after so long; until then the next one waits for it. */
const sessionTimeoutMs = 10_000;

/** `fintrack-pipelines partitions`. */
export const partitions: Command = {
  name: 'partitions',
  summary: 'Leaves out what holds a partition because it cannot be decoded.',
  help,
  options: ['brokers', 'yes'],
  flags: ['yes'],
  positionals: 4,
  async run({ positionals, options, environment, writer, signal }) {
    const { topic, partition, offset } = readPlace(positionals);
    if (options['yes'] === undefined) {
      throw new OptionsError(
        `partitions: skip leaves out offset ${offset} of ${topic}-${partition} for good: give --yes`,
      );
    }
    const { connection, groupId } = readKafka(environment, options['brokers']);
    const sink = kafkaSink(connection);
    const topics = kafkaTopics(connection);
    try {
      const { next, bytes, deadLetterTopic } = await skipUndecodable({
        ...{ topic, partition, offset, groupId, sink, topics, signal },
        openSource: (group, name) => kafkaSource({ ...connection, groupId: group, topics: [name], sessionTimeoutMs }),
      });
      const upTo = next === offset + 1n ? '' : ` to ${next - 1n}`;
      writer.log(`skipped offset ${offset}${upTo} of ${topic}-${partition}: ${bytes} bytes went to ${deadLetterTopic}`);
    } finally {
      await Promise.all([sink.close(), topics.close()]);
    }
    return exitComplete;
  },
};

function readPlace([action, topic, partition, offset]: Invocation['positionals']) {
  if (action !== 'skip' || topic === undefined || partition === undefined || offset === undefined) {
    throw new OptionsError(
      'partitions: expected skip TOPIC PARTITION OFFSET; see fintrack-pipelines partitions --help',
    );
  }
  if (!/^[\w.-]{1,249}$/.test(topic))
    throw new OptionsError(`partitions: expected the name of a topic, got ${shown(topic)}`);
  return {
    topic,
    partition: Number(wholeNumber('partition', partition, 9)),
    offset: wholeNumber('offset', offset, 18),
  };
}

function wholeNumber(what: string, text: string, digits: number): bigint {
  if (/^\d+$/.test(text) && text.length <= digits) return BigInt(text);
  throw new OptionsError(
    `partitions: expected the number of ${what === 'offset' ? 'an' : 'a'} ${what}, got ${shown(text)}`,
  );
}
