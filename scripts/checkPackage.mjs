// Packs the package and checks what a user gets: its form, its types, and that it works installed from the tarball.
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const root = resolve(import.meta.dirname, '..');
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const entries = Object.entries(manifest.exports)
  .filter(([, target]) => target.types !== undefined)
  .map(([entry]) => join(manifest.name, entry));

/** The compilers of the package's users: the one before ours, ours, and the native one. */
const compilers = { 'typescript-5': '5.9', 'typescript-6': manifest.devDependencies.typescript, 'typescript-7': '7.0' };
const ours = 'typescript-6';

/** Installs only what a package names: an import of a dependency of ours finds nothing. A version that runs on Node 20.19. */
const pnpm = 'pnpm@10.34.9';

/** What runs the installed package: this program of Node, and those that PACKAGE_NODES lists, as PATH lists folders. */
const nodes = [process.execPath, ...(process.env.PACKAGE_NODES?.split(delimiter).filter(Boolean) ?? [])];

const nodeTypes = `@types/node@${manifest.devDependencies['@types/node']}`;
const folder = await mkdtemp(join(tmpdir(), 'fintrack-pipelines-package-'));
const tools = join(folder, 'tools');
try {
  const tarball = await step('pack', pack);
  await step('publint', () => checkManifest(tarball));
  await step('attw', () => checkResolutions(tarball));
  const consumer = await step('install', () => install(tarball));
  for (const node of nodes) await step(`import and require${on(node)}`, () => checkEntries(consumer, node));
  await step('types', () => checkTypes(consumer, Object.keys(compilers)));
  await step('run', () => checkConsumer(consumer));
  for (const node of nodes) await step(`command line${on(node)}`, () => checkCommandLine(consumer, node));
  const strict = await step('install with pnpm', () => installStrictly(tarball));
  await step('types with pnpm', () => checkTypes(strict, [ours]));
  await step('run with pnpm', () => checkConsumer(strict));
  await step('command line with pnpm', () => checkCommandLine(strict, process.execPath));
} catch (error) {
  console.error(error.stdout ?? '', error.stderr ?? '', error.message);
  process.exitCode = 1;
} finally {
  // A compiler beside one that failed may still be writing.
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}

function on(node) {
  return node === process.execPath ? '' : ` with ${node}`;
}

async function step(name, work) {
  const startMs = performance.now();
  const result = await work();
  console.log(`${name}: ok (${((performance.now() - startMs) / 1000).toFixed(1)} s)`);
  return result;
}

/** Runs the build, too: `prepack` makes sure that a tarball never lacks it. */
async function pack() {
  await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
  return join(folder, `${manifest.name}-${manifest.version}.tgz`);
}

async function checkManifest(tarball) {
  const content = await readFile(tarball);
  const { messages, pkg } = await publint({
    pack: { tarball: content.buffer.slice(content.byteOffset, content.byteOffset + content.byteLength) },
    strict: true,
    level: 'warning',
  });
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, pkg)).join('\n'));
}

/** Types and code are found by every kind of import; `require` gets the ES module, as Node has it since 20.19. */
async function checkResolutions(tarball) {
  const attw = join(dirname(require.resolve('@arethetypeswrong/cli/package.json')), 'dist', 'index.js');
  await run(process.execPath, [attw, tarball, '--ignore-rules', 'cjs-resolves-to-esm'], { cwd: root });
}

async function install(tarball) {
  const consumer = join(folder, 'consumer');
  await installInto(consumer, tarball);
  await installInto(consumer, nodeTypes);
  const aliases = Object.entries(compilers).map(([alias, version]) => `${alias}@npm:typescript@${version}`);
  await installInto(tools, pnpm, ...aliases);
  return consumer;
}

async function installInto(prefix, ...packages) {
  await run('npm', ['install', '--prefix', prefix, '--no-audit', '--no-fund', '--prefer-offline', ...packages]);
}

/** As README says it: the package and its peer, and nothing that only they need. */
async function installStrictly(tarball) {
  const consumer = join(folder, 'strict');
  await mkdir(consumer);
  await writeFile(join(consumer, 'package.json'), '{ "private": true }');
  const program = join(tools, 'node_modules', 'pnpm', 'bin', 'pnpm.cjs');
  const rxjs = `rxjs@${manifest.devDependencies.rxjs}`;
  const settings = ['--prefer-offline', '--ignore-workspace', '--config.node-linker=isolated'];
  await run(process.execPath, [program, 'add', ...settings, tarball, rxjs, nodeTypes], { cwd: consumer });
  return consumer;
}

async function checkEntries(consumer, node) {
  const names = JSON.stringify(entries);
  const check = 'if (Object.keys(found).length === 0) throw new Error(`${name} exports nothing`);';
  await writeFile(
    join(consumer, 'imports.mjs'),
    `for (const name of ${names}) { const found = await import(name); ${check} }`,
  );
  await writeFile(
    join(consumer, 'requires.cjs'),
    `for (const name of ${names}) { const found = require(name); ${check} }`,
  );
  await run(node, ['imports.mjs'], { cwd: consumer });
  await run(node, ['requires.cjs'], { cwd: consumer });
}

async function checkTypes(consumer, aliases) {
  await copyFile(join(root, 'test', 'package', 'consumer.ts'), join(consumer, 'consumer.mts'));
  const requires = entries.map((name, index) => `import entry${index} = require('${name}');\nvoid entry${index};\n`);
  await writeFile(join(consumer, 'consumer.cts'), requires.join(''));
  const target = ['--target', 'es2023', '--lib', 'es2023,esnext.disposable', '--types', 'node'];
  const lib = [...target, '--strict', '--declaration'];
  const nodenext = [...lib, '--module', 'nodenext', 'consumer.mts', 'consumer.cts'];
  const bundler = [...lib, '--module', 'esnext', '--moduleResolution', 'bundler', 'consumer.mts'];
  for (const alias of aliases) {
    const tsc = join(tools, 'node_modules', alias, 'bin', 'tsc');
    await Promise.all(
      Object.entries({ nodenext, bundler }).map(([name, settings]) =>
        run(process.execPath, [tsc, ...settings, '--outDir', join(alias, name)], { cwd: consumer }),
      ),
    );
  }
}

/** Loads what the compiler made of `consumer.ts`: every name that it imports is there. */
async function checkConsumer(consumer) {
  await run(process.execPath, [join(ours, 'nodenext', 'consumer.mjs')], { cwd: consumer });
}

/** The whole main job, from the package as it is installed. */
async function checkCommandLine(consumer, node) {
  const program = join(consumer, 'node_modules', '.bin', manifest.name);
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  await run(program, ['--help'], { cwd: consumer, env });
  const { stdout, stderr } = await run(program, ['demo', '--database', 'embedded'], { cwd: consumer, env });
  const events = stdout
    .trimEnd()
    .split('\n')
    .slice(-3)
    .map((line) => JSON.parse(line));
  const unfinished = events.filter((event) => event.status !== 'complete');
  if (unfinished.length > 0) throw new Error(`demo: not complete: ${JSON.stringify(unfinished)}\n${stderr}`);
}
