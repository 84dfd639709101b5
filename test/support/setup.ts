import { afterAll, afterEach, beforeEach, vi } from 'vitest';
import { closeLeaks, openResources } from './track.ts';

let openBefore: ReadonlySet<object> = new Set();

beforeEach(() => {
  openBefore = openResources();
});

// Hooks registered first run last, so that a file's own hooks have closed what they opened.
afterEach(async () => {
  vi.useRealTimers();
  await closeLeaks(openBefore);
});

afterAll(async () => {
  await closeLeaks();
});
