import { sql } from '@databases/pg';
import type { Queryable } from '@databases/pg';
import type { LedgerStart } from '../../model/ports.ts';
import { runForRow, runStatement, statementOf } from './statement.ts';

/** The statements on the starts that nobody has handed back. */
export interface StartRows {
  /** Counts a start, unless `below` or more earlier ones are open; answers how many are. */
  begin(queryable: Queryable, start: LedgerStart, below: number): Promise<number>;
  handBack(queryable: Queryable, start: LedgerStart): Promise<void>;
}

/** Stands for the request itself, as in the table. */
const wholeRequest = -1;

/**
 * Storing a batch writes nothing here: that a batch was stored after the last start is seen by its time, at the next one. Both
 * times are those of the database.
 */
export function startRows(ownSchema: string): StartRows {
  const [starts, batches] = [sql.ident(ownSchema, 'starts'), sql.ident(ownSchema, 'batches')];
  const begin = statementOf(sql`
    insert into ${starts} as known (request, number, tokens) values ($1, $2, array[$3::text])
    on conflict (request, number) do update set
      tokens = case
        when exists (
          select from ${batches} as stored
          where stored.request = $1 and (known.number = -1 or stored.number = known.number)
            and stored.stored_at >= known.started_at
        ) then excluded.tokens
        when $3 = any(known.tokens) or cardinality(known.tokens) >= $4::integer then known.tokens
        else known.tokens || excluded.tokens
      end,
      started_at = now()
    returning cardinality(array_remove(tokens, $3)) as earlier`);
  const handBack = statementOf(sql`
    update ${starts} set tokens = array_remove(tokens, $3)
    where request = $1 and number = $2 and $3 = any(tokens)`);
  return {
    begin: async (queryable, { key, batch = wholeRequest, token }, below) => {
      const { earlier } = await runForRow<{ earlier: number }>(queryable, begin, [key, batch, token, below]);
      return earlier;
    },
    handBack: async (queryable, { key, batch = wholeRequest, token }) => {
      await runStatement(queryable, handBack, [key, batch, token]);
    },
  };
}
