import { defineConfig } from 'vitest/config';
import base from './vitest.config.ts';

const { projects: _, ...settings } = base.test ?? {};

/** The tests with real workers, whose servers and processes are killed: `npm run test:kill` and `npm run test:faults`. */
export default defineConfig({
  ...base,
  test: {
    ...settings,
    include: ['test/kill/**/*.test.ts', 'test/faults/**/*.test.ts'],
    exclude: ['**/fixtures/**'],
    globalSetup: ['test/support/globalSetup.ts'],
    // Each has servers of its own, and two cores are soon taken.
    fileParallelism: false,
    testTimeout: 30 * 60_000,
    hookTimeout: 180_000,
  },
});
