import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { useOnce } from './broker/useOnce.ts';
import { startKafkaBroker, type KafkaBroker, type Started } from './kafkaBroker.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the Kafka broker of this run is asked for: it starts with the first question. */
    kafkaUrl: string;
  }
}

/** What the run answers to whoever asks for its broker. */
export type Answer = { readonly broker: KafkaBroker } | { readonly missing: string };

/** The broker of a run, found when it is first asked for. */
export interface BrokerOfRun {
  find(): Promise<Answer>;
  /** Stops what was started; the one line to be told at the end, where tests were left out. */
  end(): Promise<string | undefined>;
}

/** That of TEST_KAFKA_BROKERS, or else one that is started. */
export function brokerOfRun(start: () => Promise<Started> = startKafkaBroker): BrokerOfRun {
  const given = process.env['TEST_KAFKA_BROKERS'] ?? '';
  let started: Promise<Started> | undefined;
  return {
    async find() {
      if (given !== '') return { broker: { brokers: given.split(','), saslBrokers: undefined } };
      const found = await (started ??= start());
      if ('missing' in found) return found;
      const { brokers, saslBrokers } = found;
      return { broker: { brokers, saslBrokers } };
    },
    async end() {
      const found = await started;
      if (found === undefined) return undefined;
      if ('missing' in found) {
        const reason = `TEST_KAFKA_BROKERS is not set; ${found.missing}`;
        return `The tests of Kafka were left out, because there is no broker: ${reason.replaceAll(/\s+/g, ' ')}.`;
      }
      await found.stop();
      return undefined;
    },
  };
}

async function startReady(): Promise<Started> {
  const started = await startKafkaBroker();
  if ('brokers' in started) await useOnce(started);
  return started;
}

/** Offers one broker to the whole run. */
export async function offerKafka(project: TestProject): Promise<() => Promise<void>> {
  const broker = brokerOfRun(startReady);
  const server = createServer((_request, response) => {
    void broker.find().then((answer) => response.end(JSON.stringify(answer)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  project.provide('kafkaUrl', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return async () => {
    await closed(server);
    const line = await broker.end();
    if (line !== undefined) console.log(line);
  };
}

function closed(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}
