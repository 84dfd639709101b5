import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { BrokerSource } from './broker/brokerSource.ts';
import { runWords } from './broker/kafkaContainer.ts';
import { startKafkaBroker } from './kafkaBroker.ts';
import { brokerOfRun } from './kafkaOnDemand.ts';
import { track } from './track.ts';

/** A program that notes its words; `does` is what it does then, as the body of a module with `words`. */
type Fakes = Readonly<Record<string, string>>;

/** A PATH with nothing but these programs. */
async function onlyThese(fakes: Fakes) {
  const folder = await mkdtemp(join(tmpdir(), 'fakes-'));
  const log = join(folder, 'log');
  await writeFile(log, '');
  for (const [name, does] of Object.entries(fakes)) {
    const program = `#!${process.execPath}
const words = process.argv.slice(2);
require('node:fs').appendFileSync(${JSON.stringify(log)}, [${JSON.stringify(name)}, ...words].join(' ') + '\\n');
${does}
`;
    await writeFile(join(folder, name), program);
    await chmod(join(folder, name), 0o755);
  }
  vi.stubEnv('PATH', folder);
  // No jars but what the fakes bring.
  vi.stubEnv('XDG_CACHE_HOME', folder);
  const calls = async (): Promise<string[]> => (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
  return track({ calls }, () => rm(folder, { recursive: true }));
}

const works = '';
const fails = 'process.exit(1);';

/** Docker whose container answers on the published ports like a broker: until it is removed. */
const containers = `
const { spawn } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const pid = __filename + '.pid';
if (words[0] === 'run') {
  const ports = words.filter((word, at) => words[at - 1] === '--publish').map((word) => word.split(':')[1]);
  const server = 'for (const port of process.argv.slice(1)) require("node:net").createServer((socket) => socket.on("data", () => socket.write("x")).on("error", () => {})).listen(port, "127.0.0.1"); setTimeout(process.exit, 20000);';
  const child = spawn(process.execPath, ['-e', server, ...ports], { detached: true, stdio: 'ignore' });
  writeFileSync(pid, String(child.pid));
  child.unref();
} else if (words[0] === 'rm') process.kill(Number(readFileSync(pid, 'utf8')), 'SIGKILL');
`;

describe('where a broker comes from', () => {
  it('is TEST_KAFKA_BROKERS before all, and then no program is run', async () => {
    await using fakes = await onlyThese({ java: works, mvn: works, docker: works });
    vi.stubEnv('TEST_KAFKA_BROKERS', 'one:9092,two:9092');
    const broker = brokerOfRun();

    expect(await broker.find()).toEqual({ broker: { brokers: ['one:9092', 'two:9092'], saslBrokers: undefined } });
    expect(await broker.end()).toBeUndefined();
    expect(await fakes.calls()).toEqual([]);
  });

  it('is Java with Maven before Docker', async () => {
    await using fakes = await onlyThese({
      java: works,
      mvn: 'if (words[0] !== "-version") { console.error("no jars today"); process.exit(1); }',
      docker: fails,
    });

    const started = await startKafkaBroker();

    const calls = await fakes.calls();
    expect(calls.map((call) => call.split(' ')[0])).toEqual(['java', 'mvn', 'mvn', 'docker']);
    expect(calls[2]).toContain('dependency:copy-dependencies');
    // What failed is told, all of it.
    expect('missing' in started && started.missing).toMatch(/no jars today[^]*docker is installed and does not work/);
  });

  it.each([
    ['Java', { mvn: works }],
    ['Maven', { java: works }],
  ])('is Docker where there is no %s', async (_, others) => {
    await using fakes = await onlyThese({ ...others, docker: containers });
    vi.stubEnv('KAFKA_VERSION', '4.4.0');

    const started = await startKafkaBroker();

    if ('missing' in started) throw new Error(started.missing);
    const running = (await fakes.calls()).find((call) => call.startsWith('docker run')) ?? '';
    expect(running).toMatch(/ apache\/kafka:4\.4\.0$/);
    expect(running).toContain(`--publish ${started.brokers[0]}:${started.brokers[0]!.split(':')[1]}`);
    await started.stop();
    const name = /--name (\S+)/.exec(running)?.[1] ?? '?';
    expect((await fakes.calls()).at(-1)).toBe(`docker rm --force --volumes ${name}`);
  });

  it('is nowhere without all of them: one plain line says why', async () => {
    await using _ = await onlyThese({ docker: fails });
    const broker = brokerOfRun();
    vi.stubEnv('TEST_KAFKA_BROKERS', '');

    expect(await broker.find()).toHaveProperty('missing');
    const line = await broker.end();
    expect(line).toBe(
      'The tests of Kafka were left out, because there is no broker: TEST_KAFKA_BROKERS is not set; java is not installed; ' +
        'docker is installed and does not work (docker version --format {{.Server.Version}}).',
    );
  });

  it('is looked for once in a run, and not before a test asks', async () => {
    let starts = 0;
    vi.stubEnv('TEST_KAFKA_BROKERS', '');
    const broker = brokerOfRun(async () => {
      starts += 1;
      return { missing: 'none' };
    });

    expect(await broker.end()).toBeUndefined();
    await Promise.all([broker.find(), broker.find()]);
    expect(starts).toBe(1);
  });
});

describe('a broker behind proxies', () => {
  it('tells the clients of a proxy to come through it', async () => {
    let listeners: unknown;
    const source: BrokerSource = {
      missing: () => undefined,
      async start(plan) {
        listeners = plan.listeners;
        const nothing = async (): Promise<void> => {};
        return { stop: nothing, pause: nothing, unpause: nothing };
      },
    };

    const started = await startKafkaBroker({ proxyPorts: [7001, 7002], sources: [source] });

    if ('missing' in started) throw new Error(started.missing);
    const [one, other] = started.behindProxies;
    expect(listeners).toEqual([
      expect.objectContaining({ name: 'PLAINTEXT' }),
      expect.objectContaining({ name: 'SASL_PLAINTEXT' }),
      { name: 'PROXIED0', port: one, advertisedPort: 7001 },
      { name: 'PROXIED1', port: other, advertisedPort: 7002 },
    ]);
  });
});

describe('the words for docker', () => {
  const words = runWords('a-name', {
    version: '3.9.2',
    listeners: [
      { name: 'PLAINTEXT', port: 1001, advertisedPort: 1001 },
      { name: 'SASL_PLAINTEXT', port: 1002, advertisedPort: 1002 },
      { name: 'PROXIED0', port: 1003, advertisedPort: 7003 },
    ],
    controllerPort: 1004,
  });
  const following = (flag: string): string[] => words.filter((_, index) => words[index - 1] === flag);

  it('publish the ports on the loopback interface alone, and not that of the controller', () => {
    expect(following('--publish')).toEqual(['127.0.0.1:1001:1001', '127.0.0.1:1002:1002', '127.0.0.1:1003:1003']);
  });

  it('hand over the settings in the variables of the image', () => {
    expect(following('--env')).toEqual(
      expect.arrayContaining([
        'KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:1001,SASL_PLAINTEXT://0.0.0.0:1002,PROXIED0://0.0.0.0:1003,CONTROLLER://127.0.0.1:1004',
        'KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://127.0.0.1:1001,SASL_PLAINTEXT://127.0.0.1:1002,PROXIED0://127.0.0.1:7003',
        'KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS=1000',
        expect.stringMatching(/^KAFKA_LISTENER_NAME_SASL__PLAINTEXT_PLAIN_SASL_JAAS_CONFIG=/),
        expect.stringMatching(/^KAFKA_OPTS=./),
        expect.stringMatching(/^CLUSTER_ID=./),
      ]),
    );
  });

  it('name the container, so that it can be removed', () => {
    expect(words.slice(0, 4)).toEqual(['run', '--detach', '--name', 'a-name']);
    expect(words.at(-1)).toBe('apache/kafka:3.9.2');
  });
});
