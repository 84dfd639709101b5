import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** A broker for tests. */
export interface KafkaBroker {
  /** Without authentication. */
  readonly brokers: readonly string[];
  /** With SASL PLAIN, where the broker was started here: user `tester`, password `kafkaSaslPassword`. */
  readonly saslBrokers: readonly string[] | undefined;
}

/** What nobody may ever read in a log or an error. */
export const kafkaSaslPassword = 'canary-9f2c71-password';

/** The version that is started; `KAFKA_VERSION` names another one. */
const version = process.env['KAFKA_VERSION'] ?? '3.9.2';

/** A broker started from its jars, or why that cannot be. */
export type Started = (KafkaBroker & { stop(): Promise<void> }) | { readonly missing: string };

/**
 * A single broker with one node of its own, in a folder that goes away with it. The jars come from Maven once, into the
 * cache folder of the user.
 */
export async function startKafkaBroker(): Promise<Started> {
  for (const program of ['java', 'mvn']) {
    if (spawnSync(program, ['-version']).error !== undefined) return { missing: `${program} is not installed` };
  }
  const libraries = await fetchLibraries();
  const folder = await mkdtemp(join(tmpdir(), 'fintrack-kafka-'));
  const [port = 0, saslPort = 0, controllerPort = 0] = await freePorts(3);
  await writeFile(join(folder, 'server.properties'), serverProperties(folder, port, saslPort, controllerPort));
  const java = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(libraries, '*')];
  const format = ['format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', join(folder, 'server.properties')];
  await run('java', [...java, 'kafka.tools.StorageTool', ...format]);
  const log = await open(join(folder, 'broker.log'), 'w');
  const broker = spawn('java', [...java, 'kafka.Kafka', join(folder, 'server.properties')], {
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  // A test run that is killed leaves no broker behind.
  const kill = (): void => void broker.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    process.off('exit', kill);
    await ended(broker);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await answering(port, broker);
  } catch (error) {
    const said = await readFile(join(folder, 'broker.log'), 'utf8');
    await stop();
    throw new Error(`The Kafka broker did not start.\n${said.slice(-3_000)}`, { cause: error });
  }
  return { brokers: [`127.0.0.1:${String(port)}`], saslBrokers: [`127.0.0.1:${String(saslPort)}`], stop };
}

/** The folder with the jars of the version; complete, or not there at all. */
async function fetchLibraries(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fintrack-pipelines');
  const libraries = join(cache, `kafka-${version}`);
  if (existsSync(libraries)) return libraries;
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'fetching-'));
  try {
    await writeFile(join(folder, 'pom.xml'), pom());
    await run('mvn', [
      '-q',
      '-B',
      '-f',
      join(folder, 'pom.xml'),
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
    ]);
    // Whoever was faster has fetched the same.
    await rename(join(folder, 'target', 'dependency'), libraries).catch((error: unknown) => {
      if (!existsSync(libraries)) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return libraries;
}

function pom(): string {
  const dependency = (group: string, artifact: string, wanted: string): string =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${wanted}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>broker</artifactId><version>1</version>
<dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', version)}
${dependency('org.slf4j', 'slf4j-simple', '1.7.36')}
</dependencies></project>
`;
}

/** Short sessions, so that a member that is gone is missed soon; everything once, since there is one node. */
function serverProperties(folder: string, port: number, saslPort: number, controllerPort: number): string {
  const listeners = [`PLAINTEXT://127.0.0.1:${String(port)}`, `SASL_PLAINTEXT://127.0.0.1:${String(saslPort)}`];
  return `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${String(controllerPort)}
listeners=${listeners.join(',')},CONTROLLER://127.0.0.1:${String(controllerPort)}
advertised.listeners=${listeners.join(',')}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_tester="${kafkaSaslPassword}";
log.dirs=${join(folder, 'log')}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=4194304
`;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Waits until the broker answers a request for its versions. */
async function answering(port: number, broker: ChildProcess): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!(await isAnswering(port))) {
    if (broker.exitCode !== null) throw new Error(`the broker ended with code ${String(broker.exitCode)}`);
    if (performance.now() > deadlineMs) throw new Error('the broker does not answer');
    await setTimeout(50);
  }
}

function isAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // ApiVersions, version 0: length, key, version, correlation id, client id.
    const request = Buffer.from([0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 1, 0, 1, 120]);
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    const done = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('data', () => done(true));
    socket.on('error', () => done(false));
    socket.setTimeout(1_000, () => done(false));
  });
}

async function run(program: string, words: readonly string[]): Promise<void> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new Error(`${program} ended with code ${String(code)}\n${said.slice(-3_000)}`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const end = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = globalThis.setTimeout(() => child.kill('SIGKILL'), 5_000);
  await end;
  clearTimeout(timer);
}
