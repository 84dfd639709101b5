import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';

/** The API keys that their provider refuses, for all processes that work with them. */
export const createRefusedKeys = (ownSchema: string): SQLQuery => sql`
  create table ${sql.ident(ownSchema, 'refused_keys')} (
    -- The provider and the API key, by its digest.
    key text primary key,
    -- The provider's words, without secrets.
    message text not null,
    pause_ms bigint not null check (pause_ms > 0),
    -- Nobody asks before.
    try_at timestamp with time zone not null,
    -- While one of the processes tries.
    tried_until timestamp with time zone
  );
`;
