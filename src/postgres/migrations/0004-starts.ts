import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';

/** Starts of requests, and of batches of shared ones, that nobody has handed back: see startRows.ts. */
export const createStarts = (ownSchema: string): SQLQuery => sql`
  create table ${sql.ident(ownSchema, 'starts')} (
    request text not null,
    -- The batch that is started by itself; -1: the request is.
    number integer not null check (number >= -1),
    -- One for each start. Those before a batch that was stored count nothing, and go with the next start.
    tokens text[] not null,
    started_at timestamp with time zone not null default now(),
    primary key (request, number)
  )`;
