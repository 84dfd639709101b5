import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Where CI wants the results as JSON, to add them up. */
const reportFile = process.env['TEST_REPORT'];

/** The tests that need PostgreSQL, Kafka or processes of their own. All others run by `npm run test:quick`, too. */
const needServers = [
  'test/postgres/**/*.test.ts',
  'test/kafka/**/*.kafka.test.ts',
  'test/kafka/bundle/*.test.ts',
  'test/kafka/client/lostConnections.test.ts',
  'test/kafka/{traps,recordContract,compression,kafkaTopics}.test.ts',
  'test/kafka/requests/quarantine/owners.test.ts',
  'test/cli/commands/*.test.ts',
  'test/cli/{main,secrets,jobs/slowCounts}.test.ts',
  'test/pipelines/{marketData,historicalMarketData,originalFaults}.test.ts',
  'test/docs/{examples,writingAProvider,bounds}.test.ts',
  'test/support/{tcpProxy,kafkaBroker,guard,killWithUs}.test.ts',
];
/** Those that replace a module before anybody else reads it. */
const needProcess = ['test/exports/options.test.ts', 'test/support/committedOnly.test.ts'];
/** Those with workers as processes of their own take minutes, and run by vitest.servers.config.ts. */
const never = ['**/fixtures/**', 'test/kill/**', 'test/faults/**'];

export default defineConfig({
  resolve: {
    // Tests and examples import the package by its name, and get the source.
    alias: [
      { find: /^fintrack-pipelines$/, replacement: here('src/index.ts') },
      { find: /^fintrack-pipelines\/(postgres|kafka|metrics|testing)$/, replacement: here('src/$1/index.ts') },
    ],
  },
  test: {
    setupFiles: ['test/support/setup.ts'],
    pool: 'forks',
    // One more than there are cores, since many tests wait for a server. Vitest would take one less.
    maxWorkers: availableParallelism() + 1,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    reporters: reportFile === undefined ? ['default'] : ['default', ['json', { outputFile: reportFile }]],
    projects: [
      {
        extends: true,
        test: {
          name: 'servers',
          include: needServers,
          exclude: never,
          globalSetup: ['test/support/globalSetup.ts'],
        },
      },
      { extends: true, test: { name: 'alone', include: needProcess } },
      {
        extends: true,
        test: {
          name: 'units',
          include: ['test/**/*.test.ts'],
          exclude: [...never, ...needServers, ...needProcess],
          // The files share processes and modules: reading the modules anew for each takes as long as the tests.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: { enabled: true, only: true, include: ['test/**/*.test-d.ts'], tsconfig: 'tsconfig.types.json' },
        },
      },
    ],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text', 'html'],
      // A little below what is reached, since platforms differ: what falls under it has lost a test.
      thresholds: { lines: 97, statements: 96, functions: 96, branches: 90 },
    },
  },
});
