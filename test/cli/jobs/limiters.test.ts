import { describe, expect, it } from 'vitest';
import { spacingMs } from '../../../src/cli/jobs/limiters.ts';

describe('spacingMs', () => {
  it.each([1, 3, 5, 1000])('keeps %d calls a second apart by a second and some head room', (callsPerSecond) => {
    expect(spacingMs(callsPerSecond) * callsPerSecond).toBeGreaterThanOrEqual(1250);
  });
});
