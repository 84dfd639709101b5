import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startKafkaBroker, type KafkaBroker, type Started } from './kafkaBroker.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the Kafka broker of this run is asked for: it starts with the first question. */
    kafkaUrl: string;
  }
}

/** What the run answers to whoever asks for its broker. */
export type Answer = { readonly broker: KafkaBroker } | { readonly missing: string };

/** Offers one broker to the whole run: that of TEST_KAFKA_BROKERS, or else one that is started when a test asks for it. */
export async function offerKafka(project: TestProject): Promise<() => Promise<void>> {
  let started: Promise<Started> | undefined;
  const server = createServer((_request, response) => {
    const given = process.env['TEST_KAFKA_BROKERS'] ?? '';
    const answer = given === '' ? (started ??= start()).then(toAnswer) : Promise.resolve(fromEnvironment(given));
    void answer.then((found) => response.end(JSON.stringify(found)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('kafkaUrl', `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
  return async () => {
    await closed(server);
    const broker = await started;
    if (broker === undefined) return;
    if ('stop' in broker) await broker.stop();
    else console.log(`The tests of Kafka were left out: ${broker.missing}.`);
  };
}

async function start(): Promise<Started> {
  try {
    return await startKafkaBroker();
  } catch (error) {
    return { missing: error instanceof Error ? error.message : String(error) };
  }
}

function fromEnvironment(brokers: string): Answer {
  return { broker: { brokers: brokers.split(','), saslBrokers: undefined } };
}

function toAnswer(started: Started): Answer {
  if ('missing' in started) return started;
  const { brokers, saslBrokers } = started;
  return { broker: { brokers, saslBrokers } };
}

function closed(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}
