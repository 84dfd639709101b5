import { z } from 'zod';
import { OptionsError } from '../../index.ts';
import type { KafkaConnectionOptions, KafkaSasl, KafkaSinkOptions } from '../../kafka/index.ts';
import { brokerAddresses } from './brokerAddresses.ts';
import { readVariables, requiredText, wholeNumber, type Environment } from './environment.ts';

/** Kafka as the environment names it. */
export interface KafkaVariables {
  /** Holds the password. */
  readonly connection: Pick<KafkaConnectionOptions, 'brokers' | 'ssl' | 'sasl'>;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
  /** Where a group begins that has never committed anything; for `kafkaSink`. */
  readonly startAt: 'earliest' | 'latest';
  /** What is sent is compressed with; for `kafkaSink`. */
  readonly compression: NonNullable<KafkaSinkOptions['compression']>;
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

const loginAdvice = 'KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed together';

const variables = z.object({
  KAFKA_BROKER: requiredText(
    'set it to the address of a broker as host:port, or several separated by commas',
  ).transform((text, context) => {
    const addresses = brokerAddresses(text);
    if (!('problem' in addresses)) return addresses;
    context.addIssue(`must be ${addressesForm(addresses.problem)}`);
    return z.NEVER;
  }),
  KAFKA_SSL: word(['true', 'false'], 'false'),
  KAFKA_SASL_MECHANISM: word(mechanisms).optional(),
  KAFKA_SASL_USERNAME: z.string().optional(),
  KAFKA_SASL_PASSWORD: z.string().optional(),
  KAFKA_CONSUMER_GROUP_ID: z.string().trim().default('etl-job-consumer-group'),
  KAFKA_CONSUMER_AUTO_OFFSET_RESET: word(['earliest', 'latest'], 'earliest'),
  KAFKA_COMPRESSION_TYPE: word(['none', 'gzip', 'snappy', 'lz4', 'zstd'], 'none'),
  KAFKA_CONSUMER_SESSION_TIMEOUT_MS: wholeNumber({ min: 1_000, max: 1_800_000, byDefault: 60_000 }),
});

/**
 * Reads the variables of Kafka; `brokers` takes the place of KAFKA_BROKER. Throws an `OptionsError` that says what is wrong or
 * missing, and shows neither addresses nor the login.
 */
export function readKafka(environment: Environment, brokers?: string): KafkaVariables {
  const onLine = brokers === undefined ? [] : brokerAddresses(brokers);
  if ('problem' in onLine) throw new OptionsError(`--brokers: expected ${addressesForm(onLine.problem)}`);
  const read = readVariables(
    variables,
    brokers === undefined ? environment : { ...environment, KAFKA_BROKER: brokers },
  );
  const sasl = loginOf(read);
  return {
    connection: { brokers: read.KAFKA_BROKER, ssl: read.KAFKA_SSL === 'true', ...(sasl && { sasl }) },
    groupId: read.KAFKA_CONSUMER_GROUP_ID,
    sessionTimeoutMs: read.KAFKA_CONSUMER_SESSION_TIMEOUT_MS,
    startAt: read.KAFKA_CONSUMER_AUTO_OFFSET_RESET,
    compression: read.KAFKA_COMPRESSION_TYPE,
  };
}

function loginOf(read: z.output<typeof variables>): KafkaSasl | undefined {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username, KAFKA_SASL_PASSWORD: password } = read;
  if (mechanism === undefined && username === undefined && password === undefined) return undefined;
  if (mechanism === undefined || username === undefined || password === undefined) throw new OptionsError(loginAdvice);
  return { mechanism, username, password };
}

function addressesForm(problem: string): string {
  return `host:port, or several separated by commas: ${problem}; its value is not shown`;
}

/** A variable that holds one of some words, in capitals or not. */
function word<const Word extends string>(
  words: readonly Word[],
  byDefault?: Word,
): z.ZodType<Word, string | undefined> {
  const read = z.string().transform((text, context) => {
    const found = words.find((each) => each === text.trim().toLowerCase());
    if (found !== undefined) return found;
    context.addIssue(`must be ${words.join(' or ')}, but is ${JSON.stringify(text.slice(0, 40))}`);
    return z.NEVER;
  });
  return byDefault === undefined ? read : z.string().default(byDefault).pipe(read);
}
