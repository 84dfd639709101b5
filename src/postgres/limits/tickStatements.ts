import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { statementOf } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';

/** What `take` answers. */
export interface TakenRow {
  /** The credits of the grant; 0 when there is none. */
  readonly taken: number;
  /** How many credits the window has for everybody: the smallest number in force. */
  readonly allowed: number;
  /** Without a grant: when to ask again; null when no end is in sight. */
  readonly retry_in_ms: number | null;
}

export interface TickStatements {
  /** Key, want, min, reserve, call, hold, window, tick, credits counted on, time such a number is in force, now: a `TakenRow`. */
  readonly take: Statement;
  /** Key, call, time until it is free, tick, whether it was refused, now. */
  readonly settle: Statement;
  /** Key, call, how many credits it keeps. */
  readonly release: Statement;
  /** Key, calls: gives back all that they hold. */
  readonly free: Statement;
  /** Key, call, credits used by everybody, time to keep them back, tick, time a number is in force, now. */
  readonly report: Statement;
}

/** Calls of the functions that the migration `window-ticks` makes, each a transaction of its own. */
export function tickStatements(ownSchema: string): TickStatements {
  const the = (name: string): SQLQuery => sql.ident(ownSchema, name);
  return {
    take: statementOf(sql`
      select taken, allowed, retry_in_ms from ${the('quota_take')}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`),
    settle: statementOf(sql`select from ${the('quota_settle')}($1, $2, $3, $4, $5, $6)`),
    release: statementOf(sql`select from ${the('quota_release')}($1, $2, $3)`),
    free: statementOf(sql`
      select from unnest($2::uuid[]) as call cross join lateral ${the('quota_release')}($1, call, 0)`),
    report: statementOf(sql`select from ${the('quota_report')}($1, $2, $3, $4, $5, $6, $7)`),
  };
}
