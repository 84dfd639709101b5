import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Where CI wants the results as JSON, to add them up. */
const reportFile = process.env['TEST_REPORT'];

export default defineConfig({
  resolve: {
    // Tests and examples import the package by its name, and get the source.
    alias: [
      { find: /^fintrack-pipelines$/, replacement: here('src/index.ts') },
      { find: /^fintrack-pipelines\/(postgres|kafka|metrics|testing)$/, replacement: here('src/$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // Those with workers as processes of their own take minutes, and run by vitest.servers.config.ts.
    exclude: ['**/fixtures/**', 'test/kill/**', 'test/faults/**'],
    setupFiles: ['test/support/setup.ts'],
    globalSetup: ['test/support/globalSetup.ts'],
    typecheck: { enabled: true, include: ['test/**/*.test-d.ts'], tsconfig: 'tsconfig.types.json' },
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    unstubEnvs: true,
    unstubGlobals: true,
    reporters: reportFile === undefined ? ['default'] : ['default', ['json', { outputFile: reportFile }]],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text', 'html'],
      // A little below what is reached, since platforms differ: what falls under it has lost a test.
      thresholds: { lines: 97, statements: 96, functions: 96, branches: 90 },
    },
  },
});
