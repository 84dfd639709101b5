import { OptionsError } from '../../index.ts';
import { kafkaSink, kafkaSource, kafkaTopics, redrive as sendAgain, type Redriven } from '../../kafka/index.ts';
import { exitComplete, exitPartial, type Command } from '../command.ts';
import { readKafka, type KafkaVariables } from '../input/kafkaVariables.ts';
import { readWholeNumber } from '../input/parseArguments.ts';

const help = `Sends dead letters again to the topic they came from.

Usage: fintrack-pipelines redrive TOPIC-dlt [options]

It begins where the last redrive came to, and ends with what is there now: what becomes a dead letter meanwhile is for
the next one. Each record goes in one transaction with that place, so that a crash neither loses nor doubles any, and
becomes a new request. Its key, value, headers and partition are as they were. How far it came is kept for the group
<group>-redrive.

Options:
  --brokers LIST  host:port, or several separated by commas. Default: KAFKA_BROKER.
  --limit NUMBER  Sends at most so many. Default: all.
  --help          Shows this.

Environment: KAFKA_BROKER, KAFKA_CONSUMER_GROUP_ID (etl-job-consumer-group), KAFKA_SSL (false), KAFKA_SASL_MECHANISM,
KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD.`;

/** A redrive that was killed is missed after so long; until then the next one waits for it. */
const sessionTimeoutMs = 10_000;

const limits = { min: 1, max: 999_999_999 };

/** `fintrack-pipelines redrive`. */
export const redrive: Command = {
  name: 'redrive',
  summary: 'Sends dead letters again to the topic they came from.',
  help,
  options: ['brokers', 'limit'],
  positionals: 1,
  async run({ positionals, options, environment, writer, signal }) {
    const topic = readTopic(positionals[0]);
    const text = options['limit'];
    const limit = text === undefined ? undefined : readWholeNumber('redrive', '--limit', text, limits);
    const kafka = readKafka(environment, options['brokers']);
    await using opened = open(kafka);
    const { sink, topics } = opened;
    const { connection, groupId } = kafka;
    const result = await sendAgain({
      topic,
      groupId,
      openSource: (group, name) => kafkaSource({ ...connection, groupId: group, topics: [name], sessionTimeoutMs }),
      ...{ sink, topics, limit, signal },
    });
    for (const line of report(topic, result, limit)) writer.log(line);
    if (!signal.aborted) return exitComplete;
    writer.log('stopped before the end: the next redrive goes on there');
    return exitPartial;
  },
};

function report(topic: string, { partitions, sent, cut }: Redriven, limit: number | undefined): string[] {
  const original = topic.replace(/-dlt$/, '');
  if (partitions === 0 && sent === 0) return [`nothing to do: another redrive of ${topic} has all its partitions`];
  const again = `sent ${sent} ${sent === 1 ? 'record' : 'records'} of ${topic} to ${original} again`;
  return [
    sent === 0 ? `nothing to send again: all dead letters of ${topic} were sent before` : again,
    ...(cut === 0 ? [] : [`left out ${cut}, of which ${topic} has only the beginning: their clients must ask again`]),
    ...(sent === limit ? ['the limit was reached: there may be more'] : []),
  ];
}

function open({ connection, compression }: KafkaVariables) {
  const sink = kafkaSink({ ...connection, compression });
  const topics = kafkaTopics(connection);
  const close = async (): Promise<void> => {
    await Promise.all([sink.close(), topics.close()]);
  };
  return { sink, topics, [Symbol.asyncDispose]: close };
}

function readTopic(topic: string | undefined): string {
  if (topic === undefined) {
    throw new OptionsError(
      'redrive: a topic is missing: give one that ends in -dlt; see fintrack-pipelines redrive --help',
    );
  }
  if (/^[\w.-]+-dlt$/.test(topic)) return topic;
  throw new OptionsError(`redrive: expected a topic that ends in -dlt, got ${seen(topic)}`);
}

/** What could be a URL with a password is not quoted. */
function seen(argument: string): string {
  return /^[\w.-]{1,100}$/.test(argument) ? `'${argument}'` : 'a value that is not shown';
}
