import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';

/** Quotas: the window of credits that several processes share, and what was used of a day or a month. */
export const createQuota = (ownSchema: string): SQLQuery => {
  const table = (name: string): SQLQuery => sql.ident(ownSchema, name);
  return sql`
    -- One row for each credit of a window. The key names provider, API key (by its digest) and length of the window.
    create table ${table('quota_slots')} (
      key text not null,
      slot integer not null check (slot >= 0),
      granted_at timestamp with time zone not null,
      free_at timestamp with time zone not null,
      -- The call that holds the credit; null once it has ended.
      grant_id uuid,
      primary key (key, slot)
    )
    -- No index holds what an update changes, and its page has room for it: a grant leaves nothing for vacuum to do.
    with (fillfactor = 40);

    -- How many credits the processes on a key believe they have.
    create table ${table('quota_limits')} (
      key text not null,
      credits integer not null check (credits > 0),
      seen_at timestamp with time zone not null,
      primary key (key, credits)
    );

    -- What was booked of a day or a month.
    create table ${table('quota_days')} (
      key text not null,
      -- '2026-11-24' or '2026-11'.
      period text not null,
      used bigint not null check (used >= 0),
      -- What the last booking got: the answer of the statement that made it.
      last_booked bigint not null,
      booked_at timestamp with time zone not null default now(),
      primary key (key, period)
    );
  `;
};
