import { sql } from '@databases/pg';
import type { ConnectionPool, SQLQuery, Transaction } from '@databases/pg';

/** In milliseconds, under the names that @databases/pg has for them in the options of a transaction. */
export interface Timeouts {
  readonly statementTimeoutMilliseconds: number;
  readonly lockTimeoutMilliseconds: number;
  readonly idleInTransactionSessionTimeoutMilliseconds: number;
}

/**
 * The same pool for a pooler in transaction mode, such as PgBouncer: each transaction may get another connection of the
 * server, so nothing may be set for a session. What a session would hold is set in each transaction, and a statement by itself
 * becomes one: four round trips instead of one.
 */
export function transactionPooling(pool: ConnectionPool, timeouts: Timeouts): ConnectionPool {
  const tx: ConnectionPool['tx'] = (work, options = {}) => {
    const setting = settingOf({ ...timeouts, ...options });
    return pool.tx(async (transaction) => {
      await transaction.query(setting);
      return work(transaction);
    }, withoutTimeouts(options));
  };
  const query = (queries: SQLQuery): Promise<unknown[]> => tx((transaction: Transaction) => transaction.query(queries));
  return new Proxy(pool, {
    get: (target, name) => {
      if (name === 'tx') return tx;
      if (name === 'query') return query;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

function settingOf(timeouts: Timeouts): SQLQuery {
  const { statementTimeoutMilliseconds, lockTimeoutMilliseconds, idleInTransactionSessionTimeoutMilliseconds } =
    timeouts;
  return sql`select set_config('statement_timeout', ${String(statementTimeoutMilliseconds)}, true),
    set_config('lock_timeout', ${String(lockTimeoutMilliseconds)}, true),
    set_config('idle_in_transaction_session_timeout', ${String(idleInTransactionSessionTimeoutMilliseconds)}, true)`;
}

function withoutTimeouts<Options extends Partial<Timeouts>>(options: Options): Omit<Options, keyof Timeouts> {
  const {
    statementTimeoutMilliseconds: _statement,
    lockTimeoutMilliseconds: _lock,
    idleInTransactionSessionTimeoutMilliseconds: _idle,
    ...others
  } = options;
  return others;
}

/** For `prepareQuery` of @databases/pg: the same statement, without the name under which a session would keep it prepared. */
export function unprepared(query: SQLQuery): SQLQuery {
  // The driver gets what `format` returns, as it is (see ledger/statement.ts).
  const format = (config: FormatConfig): object => ({ ...(query.format(config) as object), name: undefined });
  return Object.assign(sql``, { format });
}

type FormatConfig = Parameters<SQLQuery['format']>[0];
