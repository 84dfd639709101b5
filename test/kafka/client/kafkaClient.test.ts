import kafkajs, { logLevel, type LogEntry } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { clientConfig } from '../../../src/kafka/client/kafkaClient.ts';
import { brokerError, publishError } from '../../../src/kafka/client/kafkaErrors.ts';
import { logTo, type KafkaLog } from '../../../src/kafka/client/kafkaLog.ts';
import { kafkaSink } from '../../../src/kafka/kafkaSink.ts';
import { kafkaSource, resolveSourceOptions, type KafkaSourceOptions } from '../../../src/kafka/kafkaSource.ts';

const required = { brokers: ['localhost:9092'], groupId: 'group', topics: ['topic'] };
const secret = 'canary-77-password';
const config = (options: Partial<KafkaSourceOptions>) =>
  clientConfig(resolveSourceOptions({ ...required, ...options }));

/** As kafkajs gives up. */
function tried(error: Error): Error {
  return new kafkajs.KafkaJSNumberOfRetriesExceeded(error, { retryCount: 5, retryTime: 100 });
}

function fetchFailed(code: string): Error {
  return new TypeError('fetch failed', { cause: Object.assign(new Error('failed'), { code }) });
}

describe('the options of Kafka', () => {
  it('pass TLS and SASL on', () => {
    const ssl = { ca: ['certificate'], servername: 'kafka' };
    const sasl = { mechanism: 'scram-sha-512', username: 'user', password: secret } as const;
    expect(config({})).toMatchObject({ brokers: ['localhost:9092'], clientId: 'fintrack-pipelines', ssl: false });
    expect(config({})).not.toHaveProperty('sasl');
    expect(config({ ssl })).toMatchObject({ ssl });
    expect(config({ ssl: true, sasl })).toMatchObject({ ssl: true, sasl });
  });

  it('ask for a token when kafkajs does', async () => {
    const { sasl } = config({ sasl: { mechanism: 'oauthbearer', token: async () => 'token' } });
    const provider = (sasl as unknown as { oauthBearerProvider: () => Promise<unknown> }).oauthBearerProvider;
    await expect(provider()).resolves.toEqual({ value: 'token' });
  });

  it.each([
    { brokers: [] },
    { brokers: ['no-port'] },
    { brokers: [`user:${secret}@host:9092`] },
    { topics: [] },
    { groupId: '' },
    { sessionTimeoutMs: 1 },
    { sasl: { mechanism: 'plain', username: 'user', password: secret, more: 1 } },
    { sasl: { mechanism: 'none', password: secret } },
  ])('refuse %j, without a secret', (wrong) => {
    const make = () => kafkaSource({ ...required, ...wrong } as unknown as KafkaSourceOptions);
    expect(make).toThrow(expect.objectContaining({ code: 'options_invalid' }));
    expect(make).not.toThrow(secret);
  });

  it('connect nowhere until they are used', async () => {
    const source = kafkaSource(required);
    await source.stop();
    await source.stop();
    expect(source.joined).toBe(false);
    await expect(source.commit({ topic: 'topic', partition: 0, offset: 0n }, 1)).rejects.toMatchObject({
      code: 'fenced',
    });
    await expect(kafkaSink({ brokers: required.brokers }).close()).resolves.toBeUndefined();
  });

  it('end in an error that may be tried again where no broker is', async () => {
    const source = kafkaSource({ ...required, brokers: ['127.0.0.1:1'], connectionTimeoutMs: 100 });
    const handlers = { onRecord: () => {}, onAssigned: () => {}, onRevoked: () => {}, onFatal: () => {} };
    await expect(source.run(handlers)).rejects.toMatchObject({ code: 'broker_unavailable', retryable: true });
    await source.stop();
  });
});

describe('the log of Kafka', () => {
  const entry = (level: logLevel, message: string, error?: string): LogEntry => ({
    namespace: 'Connection',
    level,
    label: '',
    log: { timestamp: '', logger: 'kafkajs', message, ...(error === undefined ? {} : { error }) },
  });

  it('has the level that an entry deserves, and no secret', () => {
    const log: KafkaLog[] = [];
    const write = logTo((each) => log.push(each), [secret])(logLevel.INFO);
    write(entry(logLevel.ERROR, 'Response Heartbeat(key: 12, version: 3)', 'The group is rebalancing'));
    write(entry(logLevel.ERROR, 'Something else', `with ${secret}`));
    write(entry(logLevel.WARN, 'The group is rebalancing, re-joining'));
    write(entry(logLevel.INFO, 'Consumer has joined the group'));
    write({ ...entry(logLevel.DEBUG, 'detail'), namespace: '' });
    expect(log).toEqual([
      { level: 'debug', from: 'Connection', message: expect.stringContaining('Heartbeat') as string },
      { level: 'warn', from: 'Connection', message: 'Something else: with ***' },
      { level: 'debug', from: 'Connection', message: 'The group is rebalancing, re-joining' },
      { level: 'info', from: 'Connection', message: 'Consumer has joined the group' },
      { level: 'debug', from: 'Kafka', message: 'detail' },
    ]);
  });
});

describe('the errors of Kafka', () => {
  it('say what was tried, and hide what is secret', () => {
    const cause = Object.assign(new Error(`refused ${secret}`), {
      type: 'TOPIC_AUTHORIZATION_FAILED',
      retriable: false,
    });
    const error = brokerError('joining', new Error('outer', { cause }), [secret]);
    expect(error).toMatchObject({ code: 'broker_error', retryable: false });
    expect(error.message).toBe('Kafka: joining: TOPIC_AUTHORIZATION_FAILED: refused ***');
    expect(error.cause).toBeUndefined();
  });

  // issue 10, 14
  it.each([
    ['a mistake', new TypeError('x is not a function'), 'internal', false],
    ['one that kafkajs has tried again', tried(new TypeError('x is not a function')), 'internal', false],
    ['what is no error', 'text', 'internal', false],
    ['a broker that is away', tried(new kafkajs.KafkaJSConnectionError('refused')), 'broker_unavailable', true],
    ['a host of tokens that is away', fetchFailed('ECONNREFUSED'), 'broker_unavailable', true],
    ['one that does not answer', fetchFailed('UND_ERR_HEADERS_TIMEOUT'), 'broker_unavailable', true],
    ['a file of tokens that is not there', fetchFailed('ENOENT'), 'internal', false],
    ['what kafkajs refuses', new kafkajs.KafkaJSNonRetriableError('no'), 'broker_error', false],
  ])('blame Kafka for no other: %s', (_, thrown, code, retryable) => {
    const error = brokerError('joining', thrown, ['function']);
    expect(error).toMatchObject({ code, retryable, message: expect.stringMatching(/^Kafka: joining: /) as string });
    expect(error.message).not.toContain('function');
  });

  it('tell a fence from a failure', () => {
    const fenced = Object.assign(new Error('old epoch'), { type: 'INVALID_PRODUCER_EPOCH', retriable: false });
    expect(publishError('sending', fenced, [])).toMatchObject({ name: 'FencedError', code: 'fenced' });
    expect(publishError('sending', new Error('gone'), [])).toMatchObject({ name: 'PublishError', retryable: true });
    expect(publishError('sending', 'text', [])).toMatchObject({ message: 'Kafka: sending: text' });
  });
});
