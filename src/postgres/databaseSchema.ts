import { z } from 'zod';
import type { Database } from './connectDatabase.ts';

/** The check of every option that is a database: anything else would fail later, with an error about one of its fields. */
export const databaseSchema = z.custom<Database>(isDatabase, { error: 'expected a database from connectDatabase()' });

function isDatabase(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { pool, schema, ownSchema, server, close } = value as { [Field in keyof Database]?: unknown };
  return (
    typeof (pool as { query?: unknown } | null | undefined)?.query === 'function' &&
    typeof schema === 'string' &&
    typeof ownSchema === 'string' &&
    typeof server === 'object' &&
    typeof close === 'function'
  );
}
