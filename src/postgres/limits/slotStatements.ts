import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';
import { statementOf } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';

/** What the grant statement answers. */
export interface GrantRow {
  readonly credits: number;
  /** How many credits the window has for everybody: the smallest number in force; 0 when none is. */
  readonly allowed: number;
  /** How many rows the window has. */
  readonly slots: number;
  /** When to ask again; null when enough was free, though perhaps in the hands of another process at that moment. */
  readonly retry_in_ms: number | null;
}

export interface SlotStatements {
  /** Key, credits, now, window: makes the rows of the window, and tells the others how many credits we count on. */
  readonly announce: Statement;
  /** Key, want, min, reserve, grant, hold, window, time a number is in force, now: answers a `GrantRow`. */
  readonly grant: Statement;
  /** Key, grant, time until it is free, now. */
  readonly settle: Statement;
  /** Key, grant, how many credits it keeps, now. */
  readonly release: Statement;
  /** Key, grants, now: gives back whole grants. */
  readonly free: Statement;
}

/** A parameter of milliseconds as an interval. */
const milliseconds = (parameter: SQLQuery): SQLQuery => sql`(${parameter}::float8 * interval '1 millisecond')`;

/** The database's clock, never the start of a transaction; in tests the time that is passed in. */
const moment = (parameter: SQLQuery): SQLQuery =>
  sql`coalesce(timestamp with time zone 'epoch' + ${milliseconds(parameter)}, clock_timestamp())`;

export function slotStatements(ownSchema: string): SlotStatements {
  const slots = sql.ident(ownSchema, 'quota_slots');
  const limits = sql.ident(ownSchema, 'quota_limits');
  return {
    announce: statementOf(announcement(slots, limits)),
    grant: statementOf(granting(slots, limits)),
    settle: statementOf(sql`
      update ${slots} set free_at = ${moment(sql`$4`)} + ${milliseconds(sql`$3`)}, grant_id = null
      where key = $1 and grant_id = $2::uuid`),
    // By what is kept, not by what goes: run twice, it gives back no more. The rows for everybody go first.
    release: statementOf(sql`
      update ${slots} set free_at = ${moment(sql`$4`)}, grant_id = null
      where key = $1 and grant_id = $2::uuid and slot not in (
        select slot from ${slots} where key = $1 and grant_id = $2::uuid order by slot desc limit $3)`),
    free: statementOf(sql`
      update ${slots} set free_at = ${moment(sql`$3`)}, grant_id = null
      where key = $1 and grant_id = any($2::uuid[])`),
  };
}

/** A clock that was set back would hold credits until it has caught up: such a hold begins anew. */
function announcement(slots: SQLQuery, limits: SQLQuery): SQLQuery {
  const now = moment(sql`$3`);
  return sql`
    with announced as (
      insert into ${limits} (key, credits, seen_at) values ($1, $2, ${now})
      on conflict (key, credits) do update set seen_at = excluded.seen_at
    ), held_again as (
      update ${slots} set granted_at = ${now}, free_at = ${now} + (free_at - granted_at)
      where key = $1 and granted_at > ${now} + ${milliseconds(sql`$4`)}
    )
    insert into ${slots} (key, slot, granted_at, free_at)
    select $1, slot, ${now}, ${now} from generate_series(0, $2::integer - 1) as slot
    on conflict (key, slot) do nothing`;
}

/**
 * One statement, so that no other process comes between looking and taking. What it picks it locks, and a row that another
 * process has taken since our snapshot is looked at again under the lock (READ COMMITTED) and found not to be free. The sums
 * in `counted` are of the snapshot, and can only make the grant smaller: a grant by sums alone would not hold.
 *
 * The rows below `reserve` are left alone, and as many free ones are left over in all. Rows beyond the smallest number in
 * force are not taken; as long as they are held, as many fewer of the others are.
 */
function granting(slots: SQLQuery, limits: SQLQuery): SQLQuery {
  return sql`
    with clock as materialized (
      select ${moment(sql`$9`)} as at
    ), allowed as materialized (
      select coalesce(min(credits), 0) as credits from ${limits}, clock
      where key = $1 and seen_at > at - ${milliseconds(sql`$8`)}
    ), counted as materialized (
      select count(*)::integer as slots,
        (count(*) filter (where slot < allowed.credits and free_at <= at)
          - count(*) filter (where slot >= allowed.credits and free_at > at) - $4::integer)::integer as available
      from ${slots}, clock, allowed where key = $1
    ), picked as materialized (
      select slot from ${slots}
      where key = $1 and slot >= $4 and slot < (select credits from allowed) and free_at <= (select at from clock)
      order by slot desc
      limit (select case when available >= $3 then least($2::integer, available) else 0 end from counted)
      for update skip locked
    ), granted as (
      update ${slots} as taken set granted_at = at, free_at = at + ${milliseconds(sql`$6`)}, grant_id = $5::uuid
      from picked, clock
      where taken.key = $1 and taken.slot = picked.slot and (select count(*) from picked) >= $3::integer
      returning taken.slot
    )
    select (select count(*)::integer from granted) as credits, allowed.credits as allowed, slots,
      case when available < $3 then coalesce((
        select extract(epoch from usable_at - at)::float8 * 1000 from (
          -- A call that has ended says when. One that has not frees nothing before a window is over; then it may any time.
          select case when grant_id is null then free_at
            else greatest(granted_at + ${milliseconds(sql`$7`)}, at + interval '250 milliseconds') end as usable_at
          from ${slots} where key = $1 and free_at > at
        ) as held order by usable_at offset $3 - available - 1 limit 1
      ), $7::float8) end as retry_in_ms
    from counted, allowed, clock`;
}
