import { createLedger } from './0001-ledger.ts';
import { createQuota } from './0002-quota.ts';
import { createRefusedKeys } from './0003-refused-keys.ts';
import { createStarts } from './0004-starts.ts';
import { createAbsentRanges } from './0005-absent-ranges.ts';
import { createWindowTicks } from './0006-window-ticks.ts';
import type { Migration } from './migration.ts';

/** All of them, by number. */
export const migrations: readonly Migration[] = [
  { number: 1, name: 'ledger', create: createLedger },
  { number: 2, name: 'quota', create: createQuota },
  { number: 3, name: 'refused-keys', create: createRefusedKeys },
  { number: 4, name: 'starts', create: createStarts },
  { number: 5, name: 'absent-ranges', create: createAbsentRanges },
  { number: 6, name: 'window-ticks', create: createWindowTicks },
];
