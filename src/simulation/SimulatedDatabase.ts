import { SinkError } from '../model/errors.ts';
import { RowLocks } from './RowLocks.ts';
import type { SimulatedProcess } from './SimulatedProcess.ts';
import type { World } from './World.ts';

/** How the code of one process reaches what survives it. Each call is an effect: a process may die before it and after it. */
export interface DatabaseClient {
  /** One statement: takes effect as a whole, or not at all. */
  run<Result>(name: string, statement: () => Result | Promise<Result>): Promise<Result>;
  /**
   * A transaction of several statements: first it locks the rows with these keys, waiting for whoever holds them; then, later,
   * `commit` takes effect as a whole. It is rolled back when nothing comes for 5 s, and when the database restarts.
   */
  transaction<Result>(name: string, keys: readonly string[], commit: () => Result | Promise<Result>): Promise<Result>;
}

/** As `idle_in_transaction_session_timeout` says, by which a transaction whose process is gone ends, too. */
const idleMs = 5_000;

/** A database without contents: what it is about is which statements take effect, in what order, and who waits for whom. */
export class SimulatedDatabase {
  readonly #world: World;
  readonly #locks = new RowLocks();

  constructor(world: World) {
    this.#world = world;
    world.onOutage.add((server) => {
      if (server === 'database') this.#locks.clear(unavailable('the database was restarted'));
    });
  }

  clientOf(process: SimulatedProcess): DatabaseClient {
    const run: DatabaseClient['run'] = (name, statement) =>
      this.#world.effect(process, { on: 'database', name, apply: statement, failure });
    return {
      run,
      transaction: async (name, keys, commit) => {
        const holder = {};
        const sorted = [...new Set(keys)].sort();
        await run(`${name}: lock`, () => this.#lock(holder, sorted));
        return run(`${name}: commit`, async () => {
          if (!this.#locks.holds(holder, sorted)) throw unavailable('the transaction was rolled back');
          try {
            return await commit();
          } finally {
            this.#locks.release(holder);
          }
        });
      },
    };
  }

  async #lock(holder: object, keys: readonly string[]): Promise<void> {
    await this.#locks.acquire(holder, keys);
    this.#world.time.after(idleMs, () => this.#locks.release(holder));
  }
}

function failure(how: 'refused' | 'lost'): SinkError {
  return unavailable(how === 'refused' ? 'connection refused' : 'the connection was lost');
}

function unavailable(message: string): SinkError {
  return new SinkError('database_unavailable', `simulated database: ${message}`, { retryable: true });
}
