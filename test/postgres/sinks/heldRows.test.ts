// Issue 10, item 1: what is told as written is what a reader of the table finds.
import { sql } from '@databases/pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Outcome } from '../../../src/model/outcome.ts';
import { connectDatabase } from '../../../src/postgres/connectDatabase.ts';
import { marketDataSink } from '../../../src/postgres/sinks/marketDataSink.ts';
import { marketIndexSink } from '../../../src/postgres/sinks/marketIndexSink.ts';
import { monthlyPriceSink } from '../../../src/postgres/sinks/monthlyPriceSink.ts';
import { openTestDatabase, shapes } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { track } from '../../support/track.ts';
import { emptyTables } from './emptyTables.ts';
import { waitingForLocks } from './lockWaits.ts';
import { asset, batchOf, call, index, indexQuote, months, ok, quote, range } from './samples.ts';

type Told = readonly Outcome<unknown, object>[];

const statusOf = (outcome: Outcome<unknown, unknown>): string =>
  outcome.status === 'failed' ? `${outcome.stage} ${outcome.error.code}` : outcome.status;
const priceOf = (outcome: Outcome<unknown, object>): number | undefined =>
  'value' in outcome && 'price' in outcome.value ? Number(outcome.value.price) : undefined;

describe.each(shapes)('on shape %s', (shape) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await openTestDatabase({ shape, migrated: true, poolSize: 4 });
  });
  afterAll(() => database[Symbol.asyncDispose]());

  /** A trigger of a table for one test, and all rows gone before it. */
  async function withTrigger(table: string, when: string, body: string, test: () => Promise<void>): Promise<void> {
    await emptyTables(database);
    const { pool, schema } = database;
    const [name, target] = [sql.ident(schema, 'meddle'), sql.ident(schema, table)];
    const constraint = when.startsWith('deferred') ? 'constraint' : '';
    const event = when.replace('deferred', 'after');
    const timing = constraint === '' ? '' : 'deferrable initially deferred';
    const meddle = async () => {
      await pool.query(
        sql`create or replace function ${name}() returns trigger language plpgsql as ${sql.__dangerous__rawValue(`$$ begin ${body} end $$`)}`,
      );
      await pool.query(
        sql`create ${sql.__dangerous__rawValue(constraint)} trigger meddle ${sql.__dangerous__rawValue(event)} on ${target} ${sql.__dangerous__rawValue(timing)} for each row execute function ${name}()`,
      );
    };
    await meddle();
    try {
      await test();
    } finally {
      await pool.query(sql`drop trigger if exists meddle on ${target}`);
    }
  }

  const quoteTables = [
    {
      table: 'market_data',
      write: (prices: Record<string, string>, request?: string, receivedAtMs = performance.now()) => {
        const outcomes = Object.entries(prices).map(([symbol, price]) =>
          ok(asset(symbol), quote(asset(symbol), price), { receivedAtMs }),
        );
        return marketDataSink({ database }).write(batchOf(outcomes, request), call);
      },
      ledger: async (request: string): Promise<Told> =>
        (await marketDataSink({ database }).ledger.stored(request, 0))!.outcomes as Told,
      current: async (symbols: readonly string[]) =>
        marketDataSink({ database }).current(
          symbols.map((s) => asset(s)),
          call,
        ),
    },
    {
      table: 'market_index_data',
      write: (prices: Record<string, string>, request?: string, receivedAtMs = performance.now()) => {
        const outcomes = Object.entries(prices).map(([symbol, price]) =>
          ok(index(symbol), indexQuote(index(symbol), price), { receivedAtMs }),
        );
        return marketIndexSink({ database }).write(batchOf(outcomes, request), call);
      },
      ledger: async (request: string): Promise<Told> =>
        (await marketIndexSink({ database }).ledger.stored(request, 0))!.outcomes as Told,
      current: async (symbols: readonly string[]) => marketIndexSink({ database }).current(symbols.map(index), call),
    },
  ];

  describe.each(quoteTables)('$table', ({ table, write, ledger, current }) => {
    const prices = async () =>
      Object.fromEntries(
        (
          (await database.pool.query(
            sql`select symbol, price::float8 as price from ${sql.ident(database.schema, table)}`,
          )) as { symbol: string; price: number }[]
        ).map(({ symbol, price }) => [symbol, price]),
      );

    describe.each([
      ['with a request', 'key'],
      ['without a request', undefined],
    ])('%s', (_name, request) => {
      /** What was told at once, and what the ledger tells later. */
      const told = async (result: { stored?: readonly unknown[] | undefined }): Promise<Told> => {
        const stored = result.stored as Told;
        if (request !== undefined) {
          expect((await ledger(request)).map((one) => [statusOf(one), priceOf(one)])).toEqual(
            stored.map((one) => [statusOf(one), priceOf(one)]),
          );
        }
        return stored;
      };

      it.each([
        ['a trigger that returns NULL', 'before insert', `if new.symbol = 'B' then return null; end if; return new;`],
        ['a trigger that deletes the row', 'after insert', `delete from %T where symbol = 'B'; return null;`],
        [
          'a deferred trigger that deletes the row',
          'deferred insert',
          `delete from %T where symbol = 'B'; return null;`,
        ],
        ['a trigger that takes a price away', 'before insert', `%N return new;`],
      ])('fails the row that is gone by %s, alone', async (_cause, when, body) => {
        const low = table === 'market_data' ? 'low' : 'price_low';
        const text = body
          .replace('%T', `"${database.schema}".${table}`)
          .replace('%N', `if new.symbol = 'B' then new.${low} := null; end if;`);
        await withTrigger(table, when, text, async () => {
          const result = await write({ A: '1', B: '2', C: '3' }, request);
          expect((await told(result)).map(statusOf)).toEqual(['ok', 'write row_rejected', 'ok']);
          expect(result).toMatchObject({ inserted: 2, updated: 0, unchanged: 0, transactions: 1 });
          expect(result.failed[0]!.error.message).toContain(`${table}: B`);
          expect((await current(['A', 'B', 'C'])).map(({ status }) => status)).toEqual(['fresh', 'pending', 'fresh']);
        });
      });

      it('fails a row whose update a trigger drops', async () => {
        await withTrigger(
          table,
          'before update',
          `if new.symbol = 'B' then return null; end if; return new;`,
          async () => {
            await write({ A: '1', B: '1' });
            const result = await write({ A: '2', B: '2', C: '2' }, request);
            expect((await told(result)).map(statusOf)).toEqual(['ok', 'write row_rejected', 'ok']);
            expect(result).toMatchObject({ inserted: 1, updated: 1, unchanged: 0 });
            expect(await prices()).toEqual({ A: 2, B: 1, C: 2 });
          },
        );
      });

      it('tells the price that a trigger has put in place of ours', async () => {
        await withTrigger(table, 'before insert or update', `new.price := 42; return new;`, async () => {
          for (const price of ['1', '2']) {
            await emptyTables(database);
            const result = await write({ A: price, B: '3' }, request);
            expect((await told(result)).map(priceOf)).toEqual([42, 42]);
            expect(result).toMatchObject({ inserted: 2, updated: 0 });
          }
          expect((await current(['A'])) as Told).toMatchObject([{ status: 'fresh' }]);
        });
      });

      it('tells the value of a row that is newer than ours', async () => {
        await emptyTables(database);
        await write({ A: '1', B: '1' });
        const result = await write({ A: '2', C: '2' }, request, performance.now() - 60_000);
        expect((await told(result)).map((one) => [statusOf(one), priceOf(one)])).toEqual([
          ['ok', 1],
          ['ok', 2],
        ]);
        expect(result).toMatchObject({ inserted: 1, updated: 0, unchanged: 1, transactions: 1, failed: [] });
        expect(await prices()).toEqual({ A: 1, B: 1, C: 2 });
      });

      it('tells the value of a newer row that was committed while the statement waited for it', async () => {
        await emptyTables(database);
        await write({ A: '1', B: '1' });
        const { url, schema, ownSchema } = database;
        await using other = track(connectDatabase({ url, schema, ownSchema }));
        const writing = await other.pool.tx(async (transaction) => {
          await transaction.query(
            sql`update ${sql.ident(schema, table)} set price = 7, updated_at = updated_at + interval '30 seconds' where symbol = 'B'`,
          );
          const write2 = write({ A: '2', B: '2' }, request);
          await waitingForLocks(database, 1);
          return { write2 };
        });
        const result = await writing.write2;
        expect((await told(result)).map(priceOf)).toEqual([2, 7]);
        expect(result).toMatchObject({ updated: 1, unchanged: 1, failed: [] });
      });
    });
  });

  it.each([
    ['with a request', 'key'],
    ['without a request', undefined],
  ])('fails alone the row that a deferred constraint refuses at the commit, %s', async (_name, request) => {
    await emptyTables(database);
    const { pool, schema } = database;
    const [table, known] = [sql.ident(schema, 'market_data'), sql.ident(schema, 'listed')];
    await pool.query(sql`create table ${known} (symbol varchar(10) primary key)`);
    await pool.query(sql`insert into ${known} values ('A'), ('C')`);
    await pool.query(
      sql`alter table ${table} add constraint listed foreign key (symbol) references ${known} deferrable initially deferred`,
    );
    try {
      const outcomes = ['A', 'B', 'C'].map((symbol) => ok(asset(symbol), quote(asset(symbol), '1')));
      const { failed, inserted } = await marketDataSink({ database }).write(batchOf(outcomes, request), call);
      expect(failed.map(({ index, error }) => [index, error.code])).toEqual([[1, 'row_rejected']]);
      expect(inserted).toBe(2);
    } finally {
      await pool.query(sql`drop table ${known} cascade`);
    }
  });

  it('notices a trigger that the table got after the first write', async () => {
    await emptyTables(database);
    const sink = marketDataSink({ database });
    const one = (symbol: string, price: string) => ok(asset(symbol), quote(asset(symbol), price));
    await sink.write(batchOf([one('A', '1')], 'before'), call);
    await withTrigger('market_data', 'before insert', 'new.price := 42; return new;', async () => {
      const { stored } = await sink.write(batchOf([one('B', '1')], 'after'), call);
      expect((stored as Told).map(priceOf)).toEqual([42]);
      expect(((await sink.ledger.stored('after', 0))?.outcomes as Told).map(priceOf)).toEqual([42]);
    });
  });

  describe('market_data_monthly', () => {
    const input = range('A', '2024-01-31', '2024-03-31');
    const other = range('B', '2024-01-31', '2024-03-31');
    const prices = { '2024-01-31': '1', '2024-02-29': '2', '2024-03-28': '3' };
    const write = (request?: string, list: Record<string, string> = prices) =>
      monthlyPriceSink({ database }).write(
        batchOf([ok(input, months(input, list)), ok(other, months(other, list))], request),
        call,
      );

    it.each([
      ['with a request', 'key'],
      ['without a request', undefined],
    ])(
      'fails the asset one of whose months a trigger drops, and counts the months that are there, %s',
      async (_name, request) => {
        const drop = `if new.symbol = 'B' and new.date = '2024-02-29' then return null; end if; return new;`;
        await withTrigger('market_data_monthly', 'before insert or update', drop, async () => {
          const result = await write(request);
          expect(result.stored?.map(statusOf)).toEqual(['ok', 'write row_rejected']);
          expect(result.stored?.[0]).toMatchObject({ value: { recordCount: 3 } });
          expect(result.failed[0]!.error.message).toContain('2024-02-29');
          expect(result).toMatchObject({ inserted: 5, updated: 0, unchanged: 0 });
          if (request !== undefined) {
            const stored = await monthlyPriceSink({ database }).ledger.stored(request, 0);
            expect(stored?.outcomes.map((one) => statusOf(one as Outcome<unknown, unknown>))).toEqual([
              'ok',
              'write row_rejected',
            ]);
          }
          expect(
            (await monthlyPriceSink({ database }).current([input, other], call)).map(({ status }) => status),
          ).toEqual(['fresh', 'pending']);
          // The same again: what is unchanged is there, and what was dropped is not.
          const again = await write(request === undefined ? undefined : 'again');
          expect(again.stored?.map(statusOf)).toEqual(['ok', 'write row_rejected']);
          expect(again).toMatchObject({ inserted: 0, updated: 0, unchanged: 5 });
        });
      },
    );

    it('fails the asset whose new price a trigger does not let in', async () => {
      await withTrigger(
        'market_data_monthly',
        'before update',
        `if new.symbol = 'B' then return null; end if; return new;`,
        async () => {
          await write();
          const result = await write('key', { ...prices, '2024-02-29': '2.5' });
          expect(result.stored?.map(statusOf)).toEqual(['ok', 'write row_rejected']);
          expect(result).toMatchObject({ inserted: 0, updated: 1, unchanged: 4 });
        },
      );
    });
  });
});
