import type { KafkaBroker } from './kafkaBroker.ts';
import type { Answer } from './kafkaOnDemand.ts';
import { provided } from './provided.ts';

/**
 * The Kafka broker of this run, for tests that need one; undefined where there is none, which the run says at its end. In CI
 * that is a failure.
 */
export async function kafkaBroker(): Promise<KafkaBroker | undefined> {
  const response = await fetch(provided('kafkaUrl'));
  const answer = (await response.json()) as Answer;
  if ('broker' in answer) return answer.broker;
  if (process.env['CI'] === 'true') throw new Error(`No Kafka broker for the tests, and CI=true: ${answer.missing}`);
  return undefined;
}
