import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { brokerSettings, toVariables } from './brokerSettings.ts';
import type { BrokerPlan, BrokerSource } from './brokerSource.ts';
import { answering } from './ports.ts';
import { lacks, run } from './programs.ts';

/** A broker in a container of the image apache/kafka, which docker pulls once. */
export const kafkaContainer: BrokerSource = {
  // Asks the daemon, and not only the program.
  missing: () => lacks('docker', ['version', '--format', '{{.Server.Version}}']),

  async start(plan) {
    const name = `fintrack-kafka-${randomBytes(6).toString('hex')}`;
    const words = ['rm', '--force', '--volumes', name];
    const remove = (): void => void spawnSync('docker', words, { stdio: 'ignore' });
    process.once('exit', remove);
    const stop = async (): Promise<void> => {
      process.off('exit', remove);
      await run('docker', words);
    };
    const answers = (): Promise<void> => answering(plan.listeners[0]!.port, () => undefined);
    try {
      await run('docker', runWords(name, plan));
      await answers();
    } catch (error) {
      await stop().catch(() => undefined); // it may never have come to be
      throw error;
    }
    return {
      stop,
      pause: () => run('docker', ['stop', '--time', '10', name]),
      unpause: async () => {
        await run('docker', ['start', name]);
        await answers();
      },
    };
  },
};

/** Inside the container it listens on the same ports as outside, where only the loopback interface has them. */
export function runWords(name: string, { version, listeners, controllerPort }: BrokerPlan): string[] {
  const settings = brokerSettings({ listeners, controllerPort, host: '0.0.0.0', logFolder: '/tmp/fintrack-kafka' });
  const variables = {
    CLUSTER_ID: 'MkU3OEVBNTcwNTJENDM2Qg',
    KAFKA_HEAP_OPTS: '-Xmx256m',
    // The image wants it with any SASL listener; ours has its users in the settings.
    KAFKA_OPTS: '-Djava.awt.headless=true',
    ...toVariables(settings),
  };
  return [
    ...['run', '--detach', '--name', name, '--label', 'fintrack-pipelines.test'],
    ...listeners.flatMap(({ port }) => ['--publish', `127.0.0.1:${port}:${port}`]),
    ...Object.entries(variables).flatMap(([variable, value]) => ['--env', `${variable}=${value}`]),
    `apache/kafka:${version}`,
  ];
}
