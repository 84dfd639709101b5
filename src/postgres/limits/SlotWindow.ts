import { randomUUID } from 'node:crypto';
import { OptionsError, SinkError } from '../../model/errors.ts';
import type { SharedGrant, SharedWindow } from '../../model/quotaPorts.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError } from '../errors.ts';
import { withRetry } from '../inTransaction.ts';
import { plainArray, runForRow, runStatement } from '../ledger/statement.ts';
import type { Statement } from '../ledger/statement.ts';
import { inTime } from './inTime.ts';
import { slotStatements } from './slotStatements.ts';
import type { GrantRow, SlotStatements } from './slotStatements.ts';

export interface SlotWindowSettings {
  readonly database: Database;
  readonly key: string;
  readonly credits: number;
  readonly windowMs: number;
  readonly timeoutMs: number;
  readonly now?: (() => number) | undefined;
}

type Want = Parameters<SharedWindow['take']>[0];

/** How often a process says how many credits it counts on, as long as it takes any. */
const announceMs = 30_000;
/** For how long that binds the others: a few announcements may fail. */
const inForceMs = 300_000;
/** After this share of its hold a grant is not used any more: its call might outlast it. */
const staleShare = 1 / 20;
/** When to ask again where nothing tells. */
const pollMs = 250;
/** What a column of PostgreSQL can count. */
const mostUsed = 2 ** 31 - 1;
const retries = { maxRetries: 3 };

/** `postgresWindow`, with the rows it works on under `key`. */
export class SlotWindow implements SharedWindow {
  readonly #settings: SlotWindowSettings;
  readonly #statements: SlotStatements;
  /** What a grant still holds. */
  readonly #kept = new WeakMap<SharedGrant, number>();
  /** What all processes held before it. */
  readonly #heldBefore = new WeakMap<SharedGrant, number>();
  /** Grants that nobody uses, and that may have been made. */
  readonly #abandoned = new Set<string>();
  #announcedAt = -Infinity;
  #announcing: Promise<void> | undefined;

  constructor(settings: SlotWindowSettings) {
    this.#settings = settings;
    this.#statements = slotStatements(settings.database.ownSchema);
  }

  async take(want: Want): Promise<SharedGrant | { readonly retryInMs: number }> {
    want.signal.throwIfAborted();
    // The caller's time limit runs from here on, and the time for a connection is part of it.
    const askedAt = performance.now();
    const id = randomUUID();
    const asking = this.#ask(id, want);
    try {
      const row = await inTime(asking, this.#settings.timeoutMs, want.signal, () => this.#tooLate());
      if (row.credits === 0) return { retryInMs: this.#retryInMs(row, want) };
      if (performance.now() - askedAt > want.holdMs * staleShare) {
        await this.#free([id]);
        return { retryInMs: pollMs };
      }
      const grant = { id, credits: row.credits };
      this.#kept.set(grant, row.credits);
      this.#heldBefore.set(grant, row.held);
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
    await this.#retrying(this.#statements.release, [grant.id, kept - unused, this.#now()]);
  }

  async settle(grant: SharedGrant, freeInMs: number, refused = false): Promise<void> {
    checkMilliseconds('settle', freeInMs);
    await this.#retrying(this.#statements.settle, [grant.id, freeInMs, this.#now(), refused]);
  }

  /** The next answer tells again: it is not tried twice. */
  async report(grant: SharedGrant, used: number, holdMs: number): Promise<void> {
    checkMilliseconds('report', holdMs);
    const heldBefore = this.#heldBefore.get(grant);
    if (heldBefore === undefined || !(used > 0)) return;
    const { database, key, windowMs } = this.#settings;
    const most = Math.min(Math.ceil(used), mostUsed);
    const values = [key, grant.id, most, heldBefore, holdMs, Math.max(inForceMs, windowMs), this.#now()];
    try {
      await runStatement(database.pool, this.#statements.report, values);
    } catch (error) {
      throw databaseError(error, database);
    }
  }

  async #ask(id: string, want: Want): Promise<GrantRow> {
    const { database, key, windowMs } = this.#settings;
    const { credits, min, reserve, holdMs } = want;
    await this.#freeAbandoned();
    await this.#announce();
    const times = [holdMs, windowMs, Math.max(inForceMs, windowMs), this.#now()];
    return runForRow(database.pool, this.#statements.grant, [key, credits, min, reserve, id, ...times]);
  }

  /** The parameter that stands for the database's clock when it is null. */
  #now(): number | null {
    return this.#settings.now?.() ?? null;
  }

  async #announce(): Promise<void> {
    const clock = this.#settings.now ?? (() => performance.now());
    if (Math.abs(clock() - this.#announcedAt) < announceMs) return;
    const { database, key, credits, windowMs } = this.#settings;
    const announced = async (): Promise<void> => {
      await runStatement(database.pool, this.#statements.announce, [key, credits, this.#now(), windowMs]);
      this.#announcedAt = clock();
    };
    this.#announcing ??= announced().finally(() => (this.#announcing = undefined));
    await this.#announcing;
  }

  #retryInMs({ allowed, slots, retry_in_ms }: GrantRow, { min }: Want): number {
    // Somebody has removed our rows: they are made again before the next try.
    if (allowed === 0 || slots < this.#settings.credits) {
      this.#announcedAt = -Infinity;
      return pollMs;
    }
    if (min > allowed) throw this.#tooMuch(min, allowed);
    return Math.ceil(retry_in_ms ?? pollMs);
  }

  /** What is granted after all goes back; where even that fails, before the next grant. */
  #abandon(id: string, asking: Promise<GrantRow>): void {
    const giveBack = async (): Promise<void> => {
      const row = await asking.catch(() => undefined);
      if (row?.credits === 0) return;
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
    await runStatement(database.pool, this.#statements.free, [key, plainArray(ids), this.#now()]);
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
