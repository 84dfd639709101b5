import { describe, expect, it } from 'vitest';
import { readKafka } from '../../../src/cli/input/kafkaVariables.ts';

const login = {
  KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
  KAFKA_SASL_USERNAME: 'etl',
  KAFKA_SASL_PASSWORD: 'canary-password',
};

describe('the variables of Kafka', () => {
  it('have the defaults of the deployment', () => {
    expect(readKafka({ KAFKA_BROKER: 'kafka-1:9092, kafka-2:9092' })).toEqual({
      connection: { brokers: ['kafka-1:9092', 'kafka-2:9092'], ssl: false },
      groupId: 'etl-job-consumer-group',
      sessionTimeoutMs: 60_000,
      startAt: 'earliest',
      compression: 'none',
    });
  });

  it('are all read', () => {
    const environment = {
      ...login,
      KAFKA_BROKER: 'kafka:9093',
      KAFKA_SSL: 'TRUE',
      KAFKA_CONSUMER_GROUP_ID: 'workers',
      KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'latest',
      KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '30000',
      KAFKA_COMPRESSION_TYPE: 'LZ4',
    };
    const sasl = { mechanism: 'scram-sha-512', username: 'etl', password: 'canary-password' };
    expect(readKafka(environment)).toEqual({
      connection: { brokers: ['kafka:9093'], ssl: true, sasl },
      groupId: 'workers',
      sessionTimeoutMs: 30_000,
      startAt: 'latest',
      compression: 'lz4',
    });
    expect(readKafka(environment, 'other:9092').connection.brokers).toEqual(['other:9092']);
    expect(readKafka({}, 'other:9092').connection.brokers).toEqual(['other:9092']);
  });

  it.each([
    [{}, 'KAFKA_BROKER is not set: set it to the address of a broker as host:port'],
    [{ KAFKA_BROKER: 'kafka' }, 'KAFKA_BROKER must be host:port, or several separated by commas'],
    [{ KAFKA_BROKER: 'me:canary@kafka:9092' }, 'KAFKA_BROKER must be host:port'],
    [{ KAFKA_SSL: 'yes' }, 'KAFKA_SSL must be true or false, but is "yes"'],
    [
      { ...login, KAFKA_SASL_MECHANISM: 'GSSAPI' },
      'KAFKA_SASL_MECHANISM must be plain or scram-sha-256 or scram-sha-512',
    ],
    [{ ...login, KAFKA_SASL_USERNAME: undefined }, 'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed together'],
    [{ KAFKA_SASL_PASSWORD: 'canary' }, 'are needed together'],
    [
      { KAFKA_CONSUMER_AUTO_OFFSET_RESET: 'none' },
      'KAFKA_CONSUMER_AUTO_OFFSET_RESET must be earliest or latest, but is "none"',
    ],
    [{ KAFKA_CONSUMER_SESSION_TIMEOUT_MS: '1' }, 'KAFKA_CONSUMER_SESSION_TIMEOUT_MS must be a whole number'],
  ])('refuse %j', (wrong, expected) => {
    const environment = {
      KAFKA_BROKER: 'KAFKA_BROKER' in wrong || expected.includes('not set') ? undefined : 'kafka:9092',
      ...wrong,
    };
    expect(() => readKafka(environment)).toThrow(expected);
    expect(() => readKafka(environment)).not.toThrow('canary');
  });

  it('refuse addresses on the command line without showing them', () => {
    expect(() => readKafka({}, 'me:canary@kafka:9092')).toThrow('--brokers: expected host:port');
    expect(() => readKafka({}, 'me:canary@kafka:9092')).not.toThrow('canary');
  });

  // Issue 10, 15.
  it.each([
    ['[::1]:9092', ['[::1]:9092']],
    ['localhost:9092,', ['localhost:9092']],
    [' "kafka-1:9092, KAFKA_2.example:9093"\r\n', ['kafka-1:9092', 'KAFKA_2.example:9093']],
    ['[fe80::1%eth0]:9092,10.0.0.1:1', ['[fe80::1%eth0]:9092', '10.0.0.1:1']],
  ])('take the addresses %j', (text, expected) => {
    expect(readKafka({ KAFKA_BROKER: text }).connection.brokers).toEqual(expected);
  });

  it.each([
    ['PLAINTEXT://canary:9092', 'an address has no scheme such as PLAINTEXT:// before it; TLS is what KAFKA_SSL says'],
    ['kafka://canary:9092', 'an address has no scheme'],
    ['me:canary@kafka:9092', 'an address has no login in it'],
    ['::1', 'an IPv6 address stands in brackets and has a port, such as [::1]:9092'],
    ['[::1]', 'an address needs its port'],
    ['[canary]:9092', 'an IPv6 address in brackets, and a port'],
    ['canary', 'an address needs its port, which is mostly 9092'],
    ['can ary:9092', 'an address is the name of a host'],
    ['canary:9092/', 'a port is a number from 1 to 65535'],
    ['canary:0', 'a port is a number from 1 to 65535'],
    ['kafka:9092;canary:9092', 'a port is a number from 1 to 65535'],
    ['canary:70000', 'a port is a number from 1 to 65535'],
    [',', 'it names none'],
  ])('refuse the addresses %j', (text, expected) => {
    expect(() => readKafka({ KAFKA_BROKER: text })).toThrow(`KAFKA_BROKER must be host:port, or several`);
    expect(() => readKafka({ KAFKA_BROKER: text })).toThrow(expected);
    expect(() => readKafka({ KAFKA_BROKER: text })).not.toThrow('canary');
    expect(() => readKafka({}, text)).toThrow(expected);
  });
});
