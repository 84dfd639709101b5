import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { killWithUs } from '../killWithUs.ts';
import { brokerSettings, toProperties } from './brokerSettings.ts';
import type { BrokerSource } from './brokerSource.ts';
import { answering } from './ports.ts';
import { lacks, run } from './programs.ts';

/** A broker in a Java process of its own, in a folder that goes away with it. The jars come from Maven once. */
export const kafkaJars: BrokerSource = {
  missing: () => lacks('java', ['-version']) ?? lacks('mvn', ['-version']),

  async start({ version, listeners, controllerPort }) {
    const libraries = await fetchLibraries(version);
    const folder = await mkdtemp(join(tmpdir(), 'fintrack-kafka-'));
    const settings = brokerSettings({ listeners, controllerPort, host: '127.0.0.1', logFolder: join(folder, 'log') });
    const properties = join(folder, 'server.properties');
    await writeFile(properties, toProperties(settings));
    const java = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(libraries, '*')];
    await run('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', properties]);

    let broker: ChildProcess | undefined;

    async function begin(): Promise<void> {
      const log = await open(join(folder, 'broker.log'), 'a');
      const started = spawn('java', [...java, 'kafka.Kafka', properties], { stdio: ['ignore', log.fd, log.fd] });
      broker = started;
      // A test run that is killed leaves no broker behind.
      killWithUs(started);
      await log.close();
      try {
        await answering(listeners[0]!.port, () =>
          started.exitCode === null ? undefined : `the broker ended with code ${started.exitCode}`,
        );
      } catch (error) {
        const said = await readFile(join(folder, 'broker.log'), 'utf8');
        throw new Error(`The Kafka broker did not start.\n${said.slice(-3_000)}`, { cause: error });
      }
    }

    const end = async (): Promise<void> => {
      if (broker !== undefined) await ended(broker);
    };
    const stop = async (): Promise<void> => {
      await end();
      await rm(folder, { recursive: true, force: true });
    };
    try {
      await begin();
    } catch (error) {
      await stop();
      throw error;
    }
    return { stop, pause: end, unpause: begin };
  },
};

/** The folder with the jars of the version, in the cache folder of the user; complete, or not there at all. */
async function fetchLibraries(version: string): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'fintrack-pipelines');
  const libraries = join(cache, `kafka-${version}`);
  if (existsSync(libraries)) return libraries;
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'fetching-'));
  try {
    const pom = join(folder, 'pom.xml');
    await writeFile(pom, pomOf(version));
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime']);
    // Whoever was faster has fetched the same.
    await rename(join(folder, 'target', 'dependency'), libraries).catch((error: unknown) => {
      if (!existsSync(libraries)) throw error;
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return libraries;
}

function pomOf(version: string): string {
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

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const end = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await end;
  clearTimeout(timer);
}
