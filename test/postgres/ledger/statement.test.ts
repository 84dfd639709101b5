import { sql } from '@databases/pg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromStoredJson, toStoredJson } from '../../../src/postgres/ledger/jsonText.ts';
import { plainArray, runStatement, statementOf, textArray } from '../../../src/postgres/ledger/statement.ts';
import { openTestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';

describe('statementOf', () => {
  it('names a statement by its text', () => {
    const [one, same, other] = [sql`select 1`, sql`select 1`, sql`select 2`].map((query) => statementOf(query).name);
    expect(one).toBe(same);
    expect(one).not.toBe(other);
    expect(one!.length).toBeLessThanOrEqual(63);
  });
});

describe('arrays', () => {
  it.each([[[]], [['A', 'NULL', '', 'null']], [['"', '\\', '{}', ',', "'", ' A ', '😀', '\n']]])(
    'text %j arrives as it is',
    async (values) => {
      await using database = track(await openTestDatabase());
      const read = statementOf(sql`select array(select unnest($1::text[])) as values`);
      expect(await runStatement(database.pool, read, [textArray(values)])).toEqual([{ values }]);
    },
  );

  it('numbers and dates arrive as they are', async () => {
    await using database = track(await openTestDatabase());
    const read = statementOf(sql`select $1::numeric[]::text as numbers, $2::date[]::text[]::text as dates`);
    const [row] = await runStatement(database.pool, read, [plainArray(['-0.50', '12']), plainArray([])]);
    expect(row).toEqual({ numbers: '{-0.50,12}', dates: '{}' });
  });
});

describe('stored JSON', () => {
  it('comes back as it was, through jsonb, whatever its text', async () => {
    await using database = track(await openTestDatabase());
    const store = statementOf(sql`select jsonb_array_elements($1::jsonb)::text as text`);
    const texts = fc.sample(
      fc.string({ unit: fc.constantFrom('\0', '\u0010', '\\', 'u', '0', '"', '\ud800', '\udc00', 'é', '\u001f') }),
      2000,
    );
    const rows = await runStatement<{ text: string }>(database.pool, store, [
      toStoredJson(texts.map((text) => ({ [text]: [text] }))),
    ]);
    expect(rows.map(({ text }) => fromStoredJson(text))).toEqual(texts.map((text) => ({ [text]: [text] })));
  });
});
