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
  /** How many of them calls of the processes held before this grant. */
  readonly held: number;
  /** When to ask again; null when enough was free, though perhaps in the hands of another process at that moment. */
  readonly retry_in_ms: number | null;
}

export interface SlotStatements {
  /** Key, credits, now, window: makes the rows of the window, and tells the others how many credits we count on. */
  readonly announce: Statement;
  /** Key, want, min, reserve, grant, hold, window, time a number is in force, now: answers a `GrantRow`. */
  readonly grant: Statement;
  /** Key, grant, time until it is free, now, whether it was refused. */
  readonly settle: Statement;
  /** Key, grant, how many credits it keeps, now. */
  readonly release: Statement;
  /** Key, grants, now: gives back whole grants. */
  readonly free: Statement;
  /** Key, grant, credits used by everybody, held before the grant, hold, time a number is in force, now. */
  readonly report: Statement;
}

/** The grant of the credits that others spent: the rows are held as by a call, and their time says when they are free. */
const others = sql`'00000000-0000-0000-0000-000000000000'::uuid`;

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
      update ${slots} set free_at = ${moment(sql`$4`)} + ${milliseconds(sql`$3`)},
        grant_id = case when $5::boolean then ${others} end
      where key = $1 and grant_id = $2::uuid`),
    // By what is kept, not by what goes: run twice, it gives back no more. The rows for everybody go first.
    release: statementOf(sql`
      update ${slots} set free_at = ${unused(sql`$4`)}, grant_id = null
      where key = $1 and grant_id = $2::uuid and slot not in (
        select slot from ${slots} where key = $1 and grant_id = $2::uuid order by slot desc limit $3)`),
    free: statementOf(sql`
      update ${slots} set free_at = ${unused(sql`$3`)}, grant_id = null
      where key = $1 and grant_id = any($2::uuid[])`),
    report: statementOf(learning(slots, limits)),
  };
}

/** What was never sent was held for no time: the provider cannot have counted it. */
function unused(now: SQLQuery): SQLQuery {
  return sql`least(granted_at, ${moment(now)})`;
}

/** The smallest number of credits that a process counts on, among those said within the time it is in force. */
function smallestInForce(limits: SQLQuery, inForce: SQLQuery): SQLQuery {
  return sql`
    select coalesce(min(credits), 0) as credits from ${limits}, clock
    where key = $1 and seen_at > at - ${milliseconds(inForce)}`;
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
    ), allowed as materialized (${smallestInForce(limits, sql`$8`)}
    ), counted as materialized (
      select count(*)::integer as slots,
        (count(*) filter (where free_at > at and grant_id is distinct from ${others}))::integer as held,
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
    select (select count(*)::integer from granted) as credits, allowed.credits as allowed, slots, held,
      case when available < $3 then coalesce((
        select extract(epoch from usable_at - at)::float8 * 1000 from (
          -- A call that has ended says when. One that has not frees nothing before a window is over; then it may any time.
          select case when coalesce(grant_id, ${others}) = ${others} then free_at
            else greatest(granted_at + ${milliseconds(sql`$7`)}, at + interval '250 milliseconds') end as usable_at
          from ${slots} where key = $1 and free_at > at
        ) as held order by usable_at offset $3 - available - 1 limit 1
      ), $7::float8) end as retry_in_ms
    from counted, allowed, clock`;
}

/**
 * Our own are the rows that were held when the call was granted, and those granted since: of a row that was granted anew since
 * then, only the sum of that moment still knows. The rows of others that are free last are held on, and free ones from the
 * lower end, where grants come last, are added to them: after a smaller number, the larger one therefore holds its time.
 *
 * It waits for no other process, and what it cannot lock it leaves: the row that another report has just marked is the very
 * one that this would have marked, and what a grant has just taken is told of again by the next answer.
 */
function learning(slots: SQLQuery, limits: SQLQuery): SQLQuery {
  return sql`
    with clock as materialized (
      select ${moment(sql`$7`)} as at
    ), allowed as materialized (${smallestInForce(limits, sql`$6`)}
    ), call as materialized (
      select min(granted_at) as sent_at, count(*) as credits from ${slots} where key = $1 and grant_id = $2::uuid
    ), own as materialized (
      select count(*) filter (where granted_at <= sent_at and free_at > sent_at) as known,
        count(*) filter (where granted_at > sent_at and free_at > granted_at) as since
      from ${slots}, call where key = $1 and grant_id is distinct from ${others}
    ), wanted as materialized (
      select case when call.credits = 0 then 0
        else greatest(0, least(allowed.credits, $3::integer - since - greatest(known, $4::integer + call.credits)))
        end as credits
      from own, call, allowed
    ), marked as materialized (
      select slot from ${slots}, clock where key = $1 and grant_id = ${others} and free_at > at
      order by free_at desc, slot limit (select credits from wanted)
    ), further as materialized (
      select slot from ${slots}, clock, allowed where key = $1 and slot < allowed.credits and free_at <= at
      order by slot limit (select credits - (select count(*) from marked) from wanted)
    ), locked as materialized (
      select slot from ${slots}
      where key = $1 and slot in (select slot from marked union all select slot from further)
        and (grant_id = ${others} or free_at <= (select at from clock))
      for update skip locked
    )
    update ${slots} as taken set granted_at = at, free_at = at + ${milliseconds(sql`$5`)}, grant_id = ${others}
    from locked, clock where taken.key = $1 and taken.slot = locked.slot`;
}
