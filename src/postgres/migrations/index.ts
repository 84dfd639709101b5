import type { Migration } from './migration.ts';

/** All of them, by number. */
export const migrations: readonly Migration[] = [];
