import { describe, expect, it } from 'vitest';
import { checkTables } from '../../src/postgres/checkTables.ts';
import { createReferenceTables } from '../../src/postgres/createReferenceTables.ts';
import { inTransaction } from '../../src/postgres/inTransaction.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { tableShape } from '../../src/postgres/tableShape.ts';
import { openTestDatabase } from '../support/postgres.ts';
import { track } from '../support/track.ts';

// Issue 10, 19: what takes a database takes it as an option.
const functions = {
  checkTables,
  createReferenceTables,
  inTransaction,
  migrate,
  tableShape,
} as unknown as Record<string, (options?: unknown) => Promise<unknown>>;

const rest: Record<string, object> = {
  inTransaction: { work: () => Promise.resolve('done') },
  tableShape: { table: 'market_data' },
};

describe.each(Object.entries(functions))('%s', (name, run) => {
  it('takes one object with the database', async () => {
    await using database = track(await openTestDatabase({ shape: 'S1', migrated: true }));
    await expect(run({ database, ...rest[name] })).resolves.not.toThrow();
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['an empty object', {}],
    ['a database of another kind', { database: { pool: {}, close: () => undefined } }],
    ['a URL', { database: 'postgres://user:secret@host/name' }],
  ])('refuses %s', async (_, options) => {
    const given = options && { ...options, ...rest[name] };
    const refusal: unknown = await run(given).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: 'OptionsError', code: 'options_invalid' });
    expect(String(refusal)).toMatch(new RegExp(`${name}: (database: expected a database|options: expected object)`));
    expect(String(refusal)).not.toContain('secret');
  });

  it('refuses the database in the place of the options, and what it does not know', async () => {
    await using database = track(await openTestDatabase());
    await expect(run(database)).rejects.toMatchObject({ name: 'OptionsError' });
    await expect(run({ database, ...rest[name], timeout: 1 })).rejects.toThrow("unknown option 'timeout'");
  });
});
