import { Readable } from 'node:stream';
import { sql } from '@databases/pg';
import type { ConnectionPool, SQLQuery } from '@databases/pg';
import { isConflict, isTransient, stateOf } from '../errors.ts';
import { untilAborted } from '../untilAborted.ts';

/** The connections to one of several hosts. */
export interface Host {
  /** `host:port`, for messages. */
  readonly name: string;
  readonly pool: ConnectionPool;
}

/** Those whose calls go to the host that takes writes, or to all. */
type Members = Omit<Partial<ConnectionPool>, 'query'> & {
  readonly query: (queries: SQLQuery | SQLQuery[]) => Promise<unknown[]>;
};

const readOnly = '25006';

/**
 * One pool of several hosts, of which that is used which takes writes; of several the first in the list.
 *
 * All are asked with the first use, and again after 25006 or a broken connection; one that does not answer within `answerWithinMs`
 * is passed over. @databases/pg, given several hosts, keeps to the last that accepted a connection, also when it is a standby.
 */
export function writableHost(hosts: readonly Host[], answerWithinMs: number): ConnectionPool {
  const first = hosts[0]?.pool;
  if (first === undefined) throw new Error('there is no host');
  if (hosts.length === 1) return first;
  let chosen: Promise<ConnectionPool> | undefined;

  const current = (): Promise<ConnectionPool> =>
    (chosen ??= choose(hosts, answerWithinMs).catch((error: unknown) => {
      chosen = undefined;
      throw error;
    }));

  /** The next call asks again, unless another one has done so. */
  const forget = (used: Promise<ConnectionPool>, error: unknown): void => {
    if (chosen === used && mayBeAnotherHost(error)) chosen = undefined;
  };

  async function on<Result>(work: (pool: ConnectionPool) => Promise<Result>): Promise<Result> {
    const used = current();
    const pool = await used;
    try {
      return await work(pool);
    } catch (error) {
      forget(used, error);
      throw error;
    }
  }

  async function* queryStream(...given: Parameters<ConnectionPool['queryStream']>): AsyncGenerator {
    const used = current();
    const pool = await used;
    try {
      yield* pool.queryStream(...given);
    } catch (error) {
      forget(used, error);
      throw error;
    }
  }

  const members: Members = {
    query: (queries) => on((pool) => pool.query(queries as SQLQuery)),
    tx: (work, options) => on((pool) => pool.tx(work, options)),
    task: (work) => on((pool) => pool.task(work)),
    queryStream,
    queryNodeStream: (query, options) => Readable.from(queryStream(query, options ?? {}), options),
    getTypeParser: (type) => on((pool) => pool.getTypeParser(type)),
    registerTypeParser: async (type, parser) => {
      await Promise.all(hosts.map(({ pool }) => pool.registerTypeParser(type, parser)));
      return parser;
    },
    dispose: async () => {
      await Promise.all(hosts.map(({ pool }) => pool.dispose()));
    },
  };
  return new Proxy(first, {
    get: (target, name) => {
      if (Object.hasOwn(members, name)) return members[name as keyof ConnectionPool];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

/** Whether it says of the host that it takes no writes, or cannot be had; not that others, or we, are in the way there. */
function mayBeAnotherHost(error: unknown): boolean {
  return isTransient(error) && !isConflict(error) && fieldOf(error, 'code') !== 'CONNECTION_POOL:QUEUE_TIMEOUT';
}

async function choose(hosts: readonly Host[], answerWithinMs: number): Promise<ConnectionPool> {
  const answers = hosts.map(({ pool }) => refusalOf(pool, answerWithinMs));
  const errors: unknown[] = [];
  for (const [position, { pool }] of hosts.entries()) {
    const refusal = await answers[position];
    if (refusal === undefined) return pool;
    errors.push(refusal.error);
  }
  const away = errors.find((error) => isTransient(error) && stateOf(error) !== readOnly);
  const lasting = errors.find((error) => !isTransient(error));
  // A host that refuses the login, say, may be the one that takes writes, unless that is one that cannot be had now.
  if (lasting !== undefined && away === undefined) throw lasting as Error;
  const reasons = hosts.map(({ name }, position) => `${name}: ${reasonOf(errors[position])}`).join('; ');
  const isSomeReadOnly = errors.some((error) => stateOf(error) === readOnly);
  throw Object.assign(new Error(reasons), isSomeReadOnly ? { code: readOnly } : away);
}

/** Node has no message for the failures of a name with several addresses. */
function reasonOf(error: unknown): string {
  return [fieldOf(error, 'message'), fieldOf(error, 'code')].find((text) => text !== '') ?? '';
}

function fieldOf(error: unknown, name: 'code' | 'message'): string {
  const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
  return typeof value === 'string' ? value : '';
}

/** Undefined when it takes writes; otherwise what is in the way. */
async function refusalOf(
  pool: ConnectionPool,
  answerWithinMs: number,
): Promise<{ readonly error: unknown } | undefined> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(Object.assign(new Error('no answer in time'), { code: 'ETIMEDOUT' }));
  }, answerWithinMs);
  try {
    const rows = await untilAborted(pool.query(sql`show transaction_read_only`), controller.signal);
    const [row] = rows as { readonly transaction_read_only: string }[];
    if (row?.transaction_read_only === 'off') return undefined;
    return { error: Object.assign(new Error('read-only'), { code: readOnly }) };
  } catch (error) {
    return { error };
  } finally {
    clearTimeout(timer);
  }
}
