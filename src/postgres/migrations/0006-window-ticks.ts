import { sql } from '@databases/pg';
import type { SQLQuery } from '@databases/pg';

/**
 * Windows of credits as counters per tick of time, in place of a row for each credit: what a grant costs does not grow with
 * the quota.
 *
 * A credit counts until the END of the tick it is booked in, which is never before the moment at which it is free. The locks
 * are taken in one order by all: the window's row, then calls, then ticks, the earliest first. The functions are more than
 * one statement because a sum is right only when its snapshot is younger than the lock of the window's row: in READ COMMITTED
 * each statement of a function has a snapshot of its own. Under a stricter isolation the one snapshot may be older than the
 * lock; then the row has been updated since, and PostgreSQL refuses with 40001.
 *
 * Times are milliseconds since 1970; `given_ms` is the clock of a test, and null stands for the server's.
 */
export const createWindowTicks = (ownSchema: string): SQLQuery => {
  const table = (name: string): SQLQuery => sql.ident(ownSchema, name);
  const names: Names = {
    windows: table('quota_windows'),
    ticks: table('quota_ticks'),
    calls: table('quota_calls'),
    limits: table('quota_limits'),
  };
  return sql`
    ${tables(names)}
    ${keepWhatWasSpent(names, table('quota_slots'))}
    drop table ${table('quota_slots')};
    ${take(names, table('quota_take'))}
    ${settle(names, table('quota_settle'))}
    ${release(names, table('quota_release'))}
    ${report(names, table('quota_report'))}
    ${forget(names, table('quota_forget'))}
  `;
};

type Names = Record<'windows' | 'ticks' | 'calls' | 'limits', SQLQuery>;

function tables({ windows, ticks, calls }: Names): SQLQuery {
  return sql`
    -- One row for each window. Its lock makes the grants of a key follow one another; a grant updates it.
    create table ${windows} (
      key text primary key,
      -- All that was ever granted, without what was given back or refused.
      granted bigint not null default 0,
      -- Ticks up to this one have been removed.
      cleared_to bigint not null default 0,
      taken_at timestamp with time zone not null
    )
    with (fillfactor = 50);

    -- How many credits become free with the end of a tick. A tick is a 600th of the window, and 10 ms at least.
    create table ${ticks} (
      key text not null,
      tick bigint not null,
      credits bigint not null default 0 check (credits >= 0),
      -- How many credits others on the key were seen to use, until this tick; of all ticks the largest number counts.
      others bigint not null default 0 check (others >= 0),
      -- The longest time that anything in it was booked for.
      hold_ms double precision not null,
      primary key (key, tick)
    )
    with (fillfactor = 50);

    -- The calls on their way: what they hold is in the ticks.
    create table ${calls} (
      id uuid primary key,
      key text not null,
      tick bigint not null,
      credits integer not null check (credits > 0),
      hold_ms double precision not null,
      -- What the processes held just after the grant, and what had been granted by then: it tells others from us.
      held bigint not null,
      granted bigint not null
    );
    create index quota_calls_key_tick on ${calls} (key, tick);
  `;
}

/** A credit that others spent is one of a number that falls: the number of a tick is of those that are free then or later. */
function keepWhatWasSpent({ windows, ticks, calls }: Names, slots: SQLQuery): SQLQuery {
  return sql`
    lock table ${slots} in access exclusive mode;
    with spent as materialized (
      select key, grant_id, of_others, is_call, hold_ms, ceil(extract(epoch from free_at)::float8 * 1000 / tick_ms)::bigint as tick
      from (
        select key, grant_id, of_others, is_call, tick_ms, extract(epoch from free_at - granted_at)::float8 * 1000 as hold_ms,
          case when is_call then max(free_at) over (partition by key, grant_id) else free_at end as free_at
        from (
          select key, grant_id, granted_at, free_at,
            greatest(10, ceil(substring(key from '[0-9]+$')::float8 / 600)) as tick_ms,
            coalesce(grant_id = '00000000-0000-0000-0000-000000000000', false) as of_others,
            coalesce(grant_id <> '00000000-0000-0000-0000-000000000000', false) as is_call
          from ${slots} where free_at > clock_timestamp()
        ) as living
      ) as held
    ), kept_windows as (
      insert into ${windows} (key, granted, taken_at)
      select key, count(*), clock_timestamp() from spent group by key
    ), kept_ticks as (
      insert into ${ticks} (key, tick, credits, others, hold_ms)
      select key, tick, count(*) filter (where not of_others),
        case when bool_or(of_others)
          then sum(count(*) filter (where of_others)) over (partition by key order by tick desc) else 0 end,
        max(hold_ms)
      from spent group by key, tick
    )
    insert into ${calls} (id, key, tick, credits, hold_ms, held, granted)
    select grant_id, key, max(tick), count(*), max(hold_ms), 0, 0 from spent where is_call group by key, grant_id;
  `;
}

const clock = sql`coalesce(given_ms, extract(epoch from clock_timestamp())::float8 * 1000)`;

/** Adds to a tick of the window, which may be its first. */
function add(ticks: SQLQuery, tick: SQLQuery, credits: SQLQuery, others: SQLQuery, longestMs: SQLQuery): SQLQuery {
  return sql`
        insert into ${ticks} as t (key, tick, credits, others, hold_ms)
          values (the_key, ${tick}, ${credits}, ${others}, ${longestMs})
          on conflict (key, tick) do update set credits = t.credits + excluded.credits,
            others = greatest(t.others, excluded.others), hold_ms = greatest(t.hold_ms, excluded.hold_ms);`;
}

/** Takes from a tick at most what is in it: it may be over, and removed. */
function subtract(ticks: SQLQuery, tick: SQLQuery, credits: SQLQuery): SQLQuery {
  return sql`
        delete from ${ticks} as t
          where t.key = the_key and t.tick = ${tick} and t.credits <= ${credits} and t.others = 0;
        if not found then
          update ${ticks} as t set credits = t.credits - least(t.credits, ${credits})
            where t.key = the_key and t.tick = ${tick};
        end if;`;
}

function take({ windows, ticks, calls, limits }: Names, name: SQLQuery): SQLQuery {
  return sql`
    create function ${name}(
      the_key text, wanted integer, needed integer, spared integer, call_id uuid, held_for_ms float8,
      window_ms float8, tick_ms float8, own_limit integer, in_force_ms float8, given_ms float8,
      out taken integer, out allowed integer, out retry_in_ms float8
    ) language plpgsql as $fintrack$
    declare
      total bigint; cleared bigint; now_ms float8; now_at timestamptz; past bigint;
      announced boolean; ahead boolean;
      used bigint; of_others bigint; longest_ms float8; latest bigint; horizon bigint; free bigint;
      moved bigint; moved_others bigint;
    begin
      loop
        select w.granted, w.cleared_to into total, cleared from ${windows} as w where w.key = the_key for update;
        exit when found;
        insert into ${windows} (key, taken_at) values (the_key, clock_timestamp()) on conflict (key) do nothing;
      end loop;
      now_ms := ${clock};
      now_at := to_timestamp(now_ms / 1000);
      past := floor(now_ms / tick_ms);

      -- The smallest number that was said of late holds; what was said in a time to come was said now.
      select min(l.credits), bool_or(l.credits = own_limit and l.seen_at > now_at - interval '30 seconds'),
          bool_or(l.seen_at > now_at)
        into allowed, announced, ahead from ${limits} as l
        where l.key = the_key and l.seen_at > now_at - in_force_ms * interval '1 millisecond';
      if ahead then
        update ${limits} as l set seen_at = now_at where l.key = the_key and l.seen_at > now_at;
      end if;
      if announced is not true then
        insert into ${limits} (key, credits, seen_at) values (the_key, own_limit, now_at)
          on conflict (key, credits) do update set seen_at = excluded.seen_at;
      end if;
      allowed := least(allowed, own_limit);

      select coalesce(sum(t.credits), 0), coalesce(max(t.others), 0), coalesce(max(t.hold_ms), 0), max(t.tick)
        into used, of_others, longest_ms, latest from ${ticks} as t where t.key = the_key and t.tick > past;
      -- Nothing is booked for longer than this, unless the clock was set back: one who ends a call may have looked at it after
      -- us, hence the tick on top.
      horizon := ceil((now_ms + greatest(longest_ms, held_for_ms)) / tick_ms) + 1;
      if past > cleared then
        delete from ${calls} as c where c.key = the_key and c.tick > cleared and c.tick <= past;
      end if;
      if latest > horizon then
        update ${calls} as c set tick = horizon where c.key = the_key and c.tick > horizon;
      end if;
      if past > cleared then
        with over as (
          select t.tick from ${ticks} as t where t.key = the_key and t.tick > cleared and t.tick <= past
          order by t.tick for update
        )
        delete from ${ticks} as t using over where t.key = the_key and t.tick = over.tick;
      end if;

      free := allowed - spared - used - of_others;
      taken := case when free >= needed then least(wanted, free) else 0 end;
      if taken > 0 then
        insert into ${calls} (id, key, tick, credits, hold_ms, held, granted)
          values (call_id, the_key, ceil((now_ms + held_for_ms) / tick_ms), taken, held_for_ms, used + taken, total + taken);
        ${add(ticks, sql`ceil((now_ms + held_for_ms) / tick_ms)`, sql`taken`, sql`0`, sql`held_for_ms`)}
      end if;
      if latest > horizon then
        ${add(ticks, sql`horizon`, sql`0`, sql`0`, sql`longest_ms`)}
        with later as (
          select t.tick from ${ticks} as t where t.key = the_key and t.tick > horizon order by t.tick for update
        ), gone as (
          delete from ${ticks} as t using later where t.key = the_key and t.tick = later.tick returning t.credits, t.others
        )
        select coalesce(sum(gone.credits), 0), coalesce(max(gone.others), 0) into moved, moved_others from gone;
        ${add(ticks, sql`horizon`, sql`moved`, sql`moved_others`, sql`longest_ms`)}
      end if;
      if taken > 0 or past <> cleared then
        update ${windows} as w set granted = w.granted + taken, cleared_to = past, taken_at = now_at where w.key = the_key;
      end if;
      if taken > 0 then return; end if;

      -- A call that has ended says when. One that has not frees nothing before a window is over; then it may any time.
      select min(e.at) - now_ms into retry_in_ms from (
        select f.at, sum(f.credits) over (order by f.at) as freed,
          coalesce(max(f.others) over (order by f.at desc groups between unbounded preceding and 1 preceding), 0) as others
        from (
          select t.tick * tick_ms as at, t.credits - coalesce(flying.credits, 0) as credits, t.others
          from ${ticks} as t left join (
            select c.tick, sum(c.credits) as credits from ${calls} as c where c.key = the_key and c.tick > past group by c.tick
          ) as flying on flying.tick = t.tick
          where t.key = the_key and t.tick > past
          union all
          select greatest(c.tick * tick_ms - c.hold_ms + window_ms, now_ms + 250), c.credits, 0
          from ${calls} as c where c.key = the_key and c.tick > past
        ) as f
      ) as e where allowed - spared - (used - e.freed) - e.others >= needed;
    end $fintrack$;
  `;
}

/** The credits of a refused call become credits of others, and do not count as granted: that asks for the window's lock. */
function settle({ windows, ticks, calls }: Names, name: SQLQuery): SQLQuery {
  return sql`
    create function ${name}(
      the_key text, call_id uuid, free_in_ms float8, tick_ms float8, refused boolean, given_ms float8
    ) returns void language plpgsql as $fintrack$
    declare
      call_tick bigint; call_credits integer; now_ms float8; past bigint; end_tick bigint; of_others bigint := 0;
    begin
      if refused then
        perform 1 from ${windows} as w where w.key = the_key for update;
      end if;
      delete from ${calls} as c where c.id = call_id and c.key = the_key
        returning c.tick, c.credits into call_tick, call_credits;
      if not found then return; end if;
      now_ms := ${clock};
      past := floor(now_ms / tick_ms);
      end_tick := ceil((now_ms + free_in_ms) / tick_ms);
      if refused then
        select coalesce(max(t.others), 0) + call_credits into of_others
          from ${ticks} as t where t.key = the_key and t.tick > past;
        update ${windows} as w set granted = w.granted - call_credits where w.key = the_key;
      elsif end_tick = call_tick then
        return;
      end if;
      if end_tick > call_tick then
        ${subtract(ticks, sql`call_tick`, sql`call_credits`)}
      end if;
      if end_tick > past then
        ${add(ticks, sql`end_tick`, sql`case when refused then 0 else call_credits end`, sql`of_others`, sql`free_in_ms`)}
      end if;
      if end_tick <= call_tick then
        ${subtract(ticks, sql`call_tick`, sql`call_credits`)}
      end if;
    end $fintrack$;
  `;
}

/** By what is kept, not by what goes: run twice, it gives back no more. */
function release({ windows, ticks, calls }: Names, name: SQLQuery): SQLQuery {
  return sql`
    create function ${name}(the_key text, call_id uuid, kept integer) returns void language plpgsql as $fintrack$
    declare call_tick bigint; unused integer;
    begin
      perform 1 from ${windows} as w where w.key = the_key for update;
      select c.tick, c.credits - kept into call_tick, unused from ${calls} as c
        where c.id = call_id and c.key = the_key and c.credits > kept for update;
      if not found then return; end if;
      if kept > 0 then
        update ${calls} as c set credits = kept where c.id = call_id;
      else
        delete from ${calls} as c where c.id = call_id;
      end if;
      ${subtract(ticks, sql`call_tick`, sql`unused`)}
      update ${windows} as w set granted = w.granted - unused where w.key = the_key;
    end $fintrack$;
  `;
}

/**
 * Our own are the credits that were held when the call was granted, and those granted since. It updates the window's row, so
 * that no grant goes by an older snapshot.
 */
function report({ windows, ticks, calls, limits }: Names, name: SQLQuery): SQLQuery {
  return sql`
    create function ${name}(
      the_key text, call_id uuid, used_by_all bigint, keep_ms float8, tick_ms float8, in_force_ms float8, given_ms float8
    ) returns void language plpgsql as $fintrack$
    declare total bigint; held_then bigint; granted_then bigint; now_ms float8; living bigint; allowed bigint; more bigint;
    begin
      update ${windows} as w set granted = w.granted where w.key = the_key returning w.granted into total;
      select c.held, c.granted into held_then, granted_then from ${calls} as c where c.id = call_id and c.key = the_key;
      if not found then return; end if;
      now_ms := ${clock};
      select coalesce(sum(t.credits), 0) into living from ${ticks} as t
        where t.key = the_key and t.tick > floor(now_ms / tick_ms);
      select min(l.credits) into allowed from ${limits} as l
        where l.key = the_key and l.seen_at > to_timestamp(now_ms / 1000) - in_force_ms * interval '1 millisecond';
      more := used_by_all - (total - granted_then) - greatest(held_then, living - (total - granted_then));
      if more > 0 then
        ${add(ticks, sql`ceil((now_ms + keep_ms) / tick_ms)`, sql`0`, sql`least(more, allowed)`, sql`keep_ms`)}
      end if;
    end $fintrack$;
  `;
}

/** Windows that nobody has used since, and numbers of credits that nobody has said since. */
function forget({ windows, ticks, calls, limits }: Names, name: SQLQuery): SQLQuery {
  return sql`
    create function ${name}(since timestamptz) returns void language plpgsql as $fintrack$
    declare keys text[]; unused text[];
    begin
      select array_agg(old.key), array_agg(old.key) filter (where old.taken_at < since) into keys, unused from (
        select w.key, w.taken_at from ${windows} as w
        where w.taken_at < since
          or exists (select from ${limits} as l where l.key = w.key and l.seen_at < since)
        order by w.key for update skip locked
      ) as old;
      delete from ${calls} as c where c.key = any(unused);
      delete from ${ticks} as t where t.key = any(unused);
      delete from ${limits} as l where l.key = any(keys) and l.seen_at < since;
      delete from ${windows} as w where w.key = any(unused);
    end $fintrack$;
  `;
}
