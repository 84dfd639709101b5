/** A Kafka broker as the tests start one: from its jars or from Docker; TEST_KAFKA_BROKERS names one that is there. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';

export async function openBroker() {
  const given = process.env['TEST_KAFKA_BROKERS'] ?? '';
  if (given !== '') return { brokers: given.split(','), stop: () => Promise.resolve() };
  const root = join(import.meta.dirname, '..', '..');
  await mkdir(join(root, 'temp'), { recursive: true });
  const folder = await mkdtemp(join(root, 'temp', 'bench-'));
  try {
    const support = join(root, 'test', 'support');
    const files = ['kafkaBroker.ts', 'killWithUs.ts', ...(await filesIn(support, 'broker'))];
    await Promise.all(files.map((file) => compile(join(support, file), join(folder, file.replace(/\.ts$/, '.js')))));
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    const { startKafkaBroker } = await import(pathToFileURL(join(folder, 'kafkaBroker.js')).href);
    const started = await startKafkaBroker();
    if ('missing' in started) throw new Error(`no Kafka broker: ${started.missing}`);
    return started;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function filesIn(folder, name) {
  return (await readdir(join(folder, name))).map((file) => join(name, file));
}

async function compile(from, to) {
  const { outputText } = ts.transpileModule(await readFile(from, 'utf8'), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      rewriteRelativeImportExtensions: true,
      verbatimModuleSyntax: true,
    },
  });
  await mkdir(dirname(to), { recursive: true });
  await writeFile(to, outputText);
}
