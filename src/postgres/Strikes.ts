import { SinkError } from '../model/errors.ts';
import type { PipelineError } from '../model/errors.ts';
import type { Database } from './connectDatabase.ts';
import { databaseError } from './errors.ts';
import { tooSlow } from './rowErrors.ts';

/** So often a state has to meet a piece of work, while the database passes a probe, to be taken for the work's own. */
const strikesOfAState = 3;
/** The same of a statement over its time. */
const strikesOfTime = 2;

/** Counts how often a state has met a piece of work that may be nobody's fault. */
export class Strikes {
  readonly #counts = new Map<string, number>();

  /** Counts one more, of one `part` of the work; whether the state is the work's own by now. */
  isOwn(state: string, part = ''): boolean {
    const key = `${state} ${part}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    return count >= (state === tooSlow ? strikesOfTime : strikesOfAState);
  }
}

/** Undefined when the database passes a probe; otherwise `told` as what it is then: an outage. */
export async function outageBehind(told: PipelineError, database: Database): Promise<SinkError | undefined> {
  try {
    await database.probe();
    return undefined;
  } catch (error) {
    const { message } = databaseError(error, database);
    const more = message === told.message ? '' : `; a probe fails as well: ${message}`;
    return new SinkError('database_unavailable', told.message + more, { retryable: true, cause: told });
  }
}
