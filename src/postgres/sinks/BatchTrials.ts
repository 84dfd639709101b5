import { sql } from '@databases/pg';
import type { PipelineError } from '../../model/errors.ts';
import { checkTables } from '../checkTables.ts';
import type { PriceTable } from '../checkTables.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError, deploymentStates, isConflict, isTransient, stateOf } from '../errors.ts';
import { pause } from '../inTransaction.ts';
import { isRowError, tooSlow } from '../rowErrors.ts';
import { outageBehind, Strikes } from '../Strikes.ts';

export interface BatchTrialsOptions {
  readonly database: Database;
  /** The price table that is written. */
  readonly table: string;
  /** Whether the ledger is written, too. */
  readonly isRecorded: boolean;
  readonly signal: AbortSignal;
}

/** How often a batch is tried again while the server cannot be had: about 13 s, which outlasts a restart. */
const mostRetries = 10;
const [firstPauseMs, longestPauseMs] = [100, 2000];
/** The server says them of itself and not of a statement: read-only, and a transaction left idle for too long. */
const serverStates = /^(25006|25P03)$/;

/**
 * The tries of one batch: says after each failure whether the batch is to be tried again, and whether the failure may be that of
 * single rows, which are then looked for.
 */
export class BatchTrials {
  readonly #options: BatchTrialsOptions;
  readonly #strikes = new Strikes();
  /** States that are not the rows' by their nature, but were found to follow this batch. */
  readonly #ownStates = new Set<string>();
  #retries = 0;
  #pauses = 0;
  #isCareful = false;

  constructor(options: BatchTrialsOptions) {
    this.#options = options;
  }

  /** Whether the rows at fault are to be looked for. */
  get isCareful(): boolean {
    return this.#isCareful;
  }

  /** Whether the row that fails with this, by itself, is at fault. */
  isOfRow(error: unknown): boolean {
    return isRowError(error) || this.#ownStates.has(stateOf(error));
  }

  /** Resolves, after a pause where one is needed, when the batch is to be tried again; otherwise rejects with what to tell. */
  async after(error: unknown): Promise<void> {
    const { database, signal } = this.#options;
    signal.throwIfAborted();
    const state = stateOf(error);
    const told = databaseError(error, database);
    if (this.#isCareful && this.isOfRow(error)) await this.#leaveOver(error, told);
    else if (isRowError(error)) this.#isCareful = true;
    else if (isConflict(error)) await this.#pause();
    else if (state === '' || serverStates.test(state)) await this.#retry(told);
    else if (state === tooSlow) await this.#strike(state);
    else if (deploymentStates.test(state)) await this.#blameRows(state, told);
    else if (told.code === 'database_not_ready') throw told;
    else await this.#ask(state, told);
  }

  /** Whether the table can be written at all: then it is rows that the state follows. */
  async #blameRows(state: string, told: PipelineError): Promise<void> {
    const { database, table, isRecorded } = this.#options;
    await checkTables({ database, tables: [table as PriceTable], ownTables: isRecorded });
    // Where no policy of the table applies to us, the right that is missing is one to something else, such as a sequence.
    if (state === '42501' && !(await this.#hasPolicies())) throw told;
    this.#own(state);
  }

  async #hasPolicies(): Promise<boolean> {
    const { database, table } = this.#options;
    try {
      const rows = (await database.pool.query(sql`
        select row_security_active(c.oid) as active from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = ${database.schema} and c.relname = ${table}`)) as readonly { active: boolean }[];
      return rows.some(({ active }) => active);
    } catch (error) {
      throw databaseError(error, database);
    }
  }

  /** What is left when the rows at fault are set aside is not theirs, and may pass as that of any statement. */
  async #leaveOver(error: unknown, told: PipelineError): Promise<void> {
    const mayPass = told.code === 'database_error' && !isRowError(error);
    if (!mayPass || this.#strikes.isOwn(stateOf(error), 'left over')) await this.#retry(told);
    else await this.#pause();
  }

  async #ask(state: string, told: PipelineError): Promise<void> {
    const outage = await outageBehind(told, this.#options.database);
    if (outage === undefined) await this.#strike(state);
    else await this.#retry(outage);
  }

  async #strike(state: string): Promise<void> {
    if (this.#strikes.isOwn(state)) this.#own(state);
    else await this.#pause();
  }

  #own(state: string): void {
    this.#ownStates.add(state);
    this.#isCareful = true;
  }

  async #retry(told: PipelineError): Promise<void> {
    if (!isTransient(told) || this.#retries >= mostRetries) throw told;
    this.#retries += 1;
    await this.#pause();
  }

  async #pause(): Promise<void> {
    const delayMs = Math.min(longestPauseMs, firstPauseMs * 2 ** this.#pauses);
    this.#pauses += 1;
    await pause(delayMs * (0.5 + Math.random() / 2), this.#options.signal);
  }
}
