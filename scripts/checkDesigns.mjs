/**
 * Applies each known-wrong design of `test/designs` to a copy of the source, and looks whether it is caught: by the simulator, or
 * by the tests that its header names. One that no longer applies, or makes the harness fail instead of an assertion, is a failure,
 * and so is a source without a patch in which the same seeds find something. docs/simulator.md has the last result.
 * `npm run designs`, or `npm run designs -- fence` for some.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';

const seed = 1;
/** Beyond so many runs a design counts as not caught. */
const mostRuns = 400;
const folder = 'test/designs';
const root = resolve('temp', `designs-${process.pid}`);
const run = promisify(execFile);

const wanted = process.argv.slice(2);
const names = (await readdir(folder)).filter((name) => name.endsWith('.patch')).sort();
const chosen = names.filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)));

/** What a patch says before its first file: `what: a sentence`, and `test: a path` where tests catch it. */
function headerOf(patch) {
  const lines = patch.slice(0, patch.search(/^(diff|---) /m)).split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => (/^(what|test): /.test(line) ? [[line.slice(0, 4), line.slice(6).trim()]] : [])),
  );
}

async function copySource(name) {
  const copy = resolve(root, name);
  await mkdir(copy, { recursive: true });
  for (const path of ['src', 'test', 'package.json', 'vitest.config.ts', 'tsconfig.json']) {
    await cp(path, resolve(copy, path), { recursive: true });
  }
  return copy;
}

async function simulate(copy, runs) {
  const entry = resolve(copy, 'entry.ts');
  await writeFile(
    entry,
    `import { findViolation } from './src/testing/index.ts';
    const { countedRuns, violation } = await findViolation({ seed: ${seed}, runs: ${runs}, shrinkRuns: 0 });
    console.log(JSON.stringify({ runs: countedRuns, violations: violation?.violations ?? [] }));`,
  );
  const outfile = resolve(copy, 'entry.mjs');
  await build({ entryPoints: [entry], outfile, bundle: true, format: 'esm', platform: 'node', packages: 'external' });
  const { stdout } = await run(process.execPath, [outfile], { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

/** The assertions that failed; an error of another kind is none. */
async function failedAssertions(copy, test) {
  const report = resolve(copy, 'report.json');
  const args = ['run', test, '--root', copy, '--typecheck.enabled=false', '--reporter=json', `--outputFile=${report}`];
  await run(process.execPath, [resolve('node_modules/vitest/vitest.mjs'), ...args]).catch(() => undefined);
  const { testResults } = JSON.parse(await readFile(report, 'utf8'));
  const messages = testResults.flatMap(({ assertionResults }) =>
    assertionResults.flatMap((each) => each.failureMessages),
  );
  return messages.filter((message) => /^(AssertionError|Error: expected)/.test(message));
}

async function check(name) {
  const patch = await readFile(`${folder}/${name}`, 'utf8');
  const { what = '', test } = headerOf(patch);
  const copy = await copySource(name);
  try {
    // Outside of any repository, so that paths are those of the copy.
    const env = { ...process.env, GIT_CEILING_DIRECTORIES: root };
    await run('git', ['apply', resolve(folder, name)], { cwd: copy, env });
    if (test !== undefined) {
      const [first] = await failedAssertions(copy, test);
      return { name, what, by: test, caught: first?.split('\n')[0] };
    }
    const { runs, violations } = await simulate(copy, mostRuns);
    return { name, what, by: 'simulator', runs, caught: violations[0] };
  } catch (error) {
    return {
      name,
      what,
      by: test ?? 'simulator',
      error: String(error.stderr ?? error)
        .split('\n')
        .slice(0, 5)
        .join(' '),
    };
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

let failures = 0;
let isClean = false;

function tell({ name, what, by, runs, caught, error }) {
  if (caught === undefined) failures += 1;
  const after = runs === undefined ? '' : ` after ${runs} runs`;
  console.log(
    `${caught === undefined ? 'NOT CAUGHT' : 'caught'} ${name} (${what}) by ${by}${after}: ${caught ?? error ?? ''}`,
  );
}

try {
  const unmutated = await simulate(await copySource('unmutated'), mostRuns);
  isClean = unmutated.violations.length === 0;
  console.log(`unmutated: ${unmutated.runs} runs, ${unmutated.violations.join('; ') || 'nothing found'}`);
  const left = [...chosen];
  const lane = async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) tell(await check(name));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
} finally {
  await rm(root, { recursive: true, force: true });
}
console.log(`${chosen.length - failures} of ${chosen.length} caught`);
if (!isClean || failures > 0 || chosen.length === 0) process.exitCode = 1;
