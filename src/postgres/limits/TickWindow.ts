import { randomUUID } from 'node:crypto';
import { OptionsError, SinkError } from '../../model/errors.ts';
import type { SharedGrant, SharedWindow } from '../../model/quotaPorts.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError, lostAgainstAnother } from '../errors.ts';
import { withRetry } from '../inTransaction.ts';
import { plainArray, runForRow, runStatement } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';
import { inTime } from './inTime.ts';
import { tickStatements } from './tickStatements.ts';
import type { TakenRow, TickStatements } from './tickStatements.ts';

export interface TickWindowSettings {
  readonly database: Database;
  readonly key: string;
  readonly credits: number;
  readonly windowMs: number;
  readonly timeoutMs: number;
  readonly now?: (() => number) | undefined;
}

type Want = Parameters<SharedWindow['take']>[0];

/** For how long a number of credits that a process counts on binds the others: it is said again every 30 s. */
const inForceMs = 300_000;
/** A window is counted in so many ticks: a credit is held for up to one of them too long. */
const ticksPerWindow = 600;
const shortestTickMs = 10;
/** After this share of its hold a grant is not used any more: its call might outlast it. */
const staleShare = 1 / 20;
/** When to ask again where nothing tells. */
const pollMs = 250;
/** Where the isolation is stricter than READ COMMITTED, only one of those that ask at the same time is answered. */
const longestPauseMs = 20;
/** What a column of PostgreSQL can count. */
const mostUsed = 2 ** 31 - 1;
const retries = { maxRetries: 6, retryDelayMs: 20 };

/** `postgresWindow`, with the rows it works on under `key`. */
export class TickWindow implements SharedWindow {
  readonly #settings: TickWindowSettings;
  readonly #statements: TickStatements;
  readonly #tickMs: number;
  readonly #inForceMs: number;
  /** What a grant still holds. */
  readonly #kept = new WeakMap<SharedGrant, number>();
  /** Grants that nobody uses, and that may have been made. */
  readonly #abandoned = new Set<string>();

  constructor(settings: TickWindowSettings) {
    this.#settings = settings;
    this.#statements = tickStatements(settings.database.ownSchema);
    this.#tickMs = Math.max(shortestTickMs, Math.ceil(settings.windowMs / ticksPerWindow));
    this.#inForceMs = Math.max(inForceMs, settings.windowMs);
  }

  async take(want: Want): Promise<SharedGrant | { readonly retryInMs: number }> {
    want.signal.throwIfAborted();
    // The caller's time limit runs from here on, and the time for a connection is part of it.
    const askedAt = performance.now();
    const id = randomUUID();
    const asking = this.#ask(id, want, askedAt);
    try {
      const row = await inTime(asking, this.#settings.timeoutMs, want.signal, () => this.#tooLate());
      if (row.taken === 0) return { retryInMs: this.#retryInMs(row, want) };
      if (performance.now() - askedAt > want.holdMs * staleShare) {
        await this.#free([id]);
        return { retryInMs: pollMs };
      }
      const grant = { id, credits: row.taken };
      this.#kept.set(grant, row.taken);
      return grant;
    } catch (error) {
      this.#abandon(id, asking);
      want.signal.throwIfAborted();
      throw databaseError(error, this.#settings.database);
    }
  }

  async release(grant: SharedGrant, unused: number): Promise<void> {
    const kept = this.#kept.get(grant) ?? grant.credits;
    if (!Number.isSafeInteger(unused) || unused < 0 || unused > kept) {
      throw new OptionsError(`SharedWindow.release: expected 0 to ${String(kept)} credits, got ${String(unused)}`);
    }
    this.#kept.set(grant, kept - unused);
    await this.#retrying(this.#statements.release, [grant.id, kept - unused]);
  }

  async settle(grant: SharedGrant, freeInMs: number, refused = false): Promise<void> {
    checkMilliseconds('settle', freeInMs);
    await this.#retrying(this.#statements.settle, [grant.id, freeInMs, this.#tickMs, refused, this.#now()]);
  }

  /** The next answer tells again: it is not tried twice. */
  async report(grant: SharedGrant, used: number, holdMs: number): Promise<void> {
    checkMilliseconds('report', holdMs);
    if (!this.#kept.has(grant) || !(used > 0)) return;
    const { database, key } = this.#settings;
    const most = Math.min(Math.ceil(used), mostUsed);
    const values = [key, grant.id, most, holdMs, this.#tickMs, this.#inForceMs, this.#now()];
    try {
      await runStatement(database.pool, this.#statements.report, values);
    } catch (error) {
      throw databaseError(error, database);
    }
  }

  async #ask(id: string, { credits, min, reserve, holdMs, signal }: Want, askedAt: number): Promise<TakenRow> {
    const { database, key, windowMs, timeoutMs, credits: own } = this.#settings;
    await this.#freeAbandoned();
    const sizes = [holdMs, windowMs, this.#tickMs, own, this.#inForceMs];
    for (;;) {
      const values = [key, credits, min, reserve, id, ...sizes, this.#now()];
      try {
        return await runForRow(database.pool, this.#statements.take, values);
      } catch (error) {
        // It has been rolled back, and nothing was granted.
        if (!lostAgainstAnother(error) || signal.aborted || performance.now() - askedAt > timeoutMs) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, Math.random() * longestPauseMs));
    }
  }

  /** The parameter that stands for the database's clock when it is null. */
  #now(): number | null {
    return this.#settings.now?.() ?? null;
  }

  #retryInMs({ allowed, retry_in_ms }: TakenRow, { min }: Want): number {
    if (min > allowed) throw this.#tooMuch(min, allowed);
    return Math.ceil(retry_in_ms ?? pollMs);
  }

  /** What is granted after all goes back; where even that fails, before the next grant. */
  #abandon(id: string, asking: Promise<TakenRow>): void {
    const giveBack = async (): Promise<void> => {
      const row = await asking.catch(() => undefined);
      if (row?.taken === 0) return;
      // Without an answer, nobody knows what has become of the statement.
      this.#abandoned.add(id);
      if (row !== undefined) await this.#freeAbandoned();
    };
    giveBack().catch(() => undefined);
  }

  async #freeAbandoned(): Promise<void> {
    const ids = [...this.#abandoned];
    if (ids.length === 0) return;
    await this.#free(ids);
    for (const id of ids) this.#abandoned.delete(id);
  }

  async #free(ids: readonly string[]): Promise<void> {
    const { database, key } = this.#settings;
    await runStatement(database.pool, this.#statements.free, [key, plainArray(ids)]);
  }

  /** Only for statements that may be run twice. */
  async #retrying(statement: Statement, values: readonly unknown[]): Promise<void> {
    const { database, key } = this.#settings;
    await withRetry(database, () => runStatement(database.pool, statement, [key, ...values]), retries);
  }

  #tooLate(): SinkError {
    const { database, timeoutMs } = this.#settings;
    return new SinkError(
      'database_unavailable',
      `postgresWindow: PostgreSQL at ${database.server.host} did not answer within ${timeoutMs} ms, and without it nothing is granted`,
      { retryable: true },
    );
  }

  #tooMuch(min: number, allowed: number): OptionsError {
    const { credits } = this.#settings;
    const others = allowed < credits ? `, because another process counts on no more` : '';
    return new OptionsError(`postgresWindow: ${min} credits at once, but the window holds ${allowed}${others}`);
  }
}

function checkMilliseconds(method: string, milliseconds: number): void {
  if (milliseconds >= 0 && milliseconds < Infinity) return;
  throw new OptionsError(`SharedWindow.${method}: expected milliseconds from 0 on, got ${String(milliseconds)}`);
}
