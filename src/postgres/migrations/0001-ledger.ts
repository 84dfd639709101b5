import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';

/**
 * The ledger: what was requested, what became of which batch, and which months were asked for.
 *
 * `batches` has no foreign key to `requests`: checking it would lock the request's row in every batch's transaction. The
 * last activity of a request is that of its batches, for the same reason.
 */
export const createLedger = (ownSchema: string): SQLQuery => {
  const table = (name: string): SQLQuery => sql.ident(ownSchema, name);
  return sql`
    create table ${table('requests')} (
      key text primary key,
      pipeline text not null,
      -- The normalized list, as batches are cut from it.
      inputs jsonb not null,
      batch_size integer not null check (batch_size > 0),
      total_batches integer not null,
      accepted_at timestamp with time zone not null default now(),
      last_accepted_at timestamp with time zone not null default now()
    );
    create index requests_last_accepted_at on ${table('requests')} (last_accepted_at);

    create table ${table('batches')} (
      request text not null,
      number integer not null check (number >= 0),
      -- What became of each input, in their order: see outcomeCodec.ts.
      outcomes jsonb not null default '[]',
      ok integer not null default 0,
      fresh integer not null default 0,
      failed integer not null default 0,
      skipped integer not null default 0,
      -- Ended by the quota or a deadline: what was skipped is tried again when the request is.
      resumable boolean not null default false,
      inserted integer not null default 0,
      updated integer not null default 0,
      unchanged integer not null default 0,
      transactions integer not null default 0,
      created_at timestamp with time zone not null default now(),
      stored_at timestamp with time zone not null default now(),
      primary key (request, number)
    );

    -- A request and how far it is, for people.
    create view ${table('request_states')} as
      select key, pipeline, batch_size, total_batches, stored_batches,
        case when stored_batches < total_batches then 'open' else 'done' end as state,
        accepted_at, greatest(last_accepted_at, last_stored_at) as last_active_at
      from ${table('requests')}
      cross join lateral (
        select count(*)::integer as stored_batches, max(stored_at) as last_stored_at
        from ${table('batches')} where request = key and not resumable
      ) as progress;

    -- Months that a provider did not have, and months that were still running when they were fetched.
    create table ${table('fetched_months')} (
      provider text not null,
      symbol text not null,
      asset_type text not null,
      -- Its first day.
      month date not null,
      fetched_at timestamp with time zone not null default now(),
      present boolean not null,
      primary key (symbol, asset_type, month, provider)
    );
  `;
};
