import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { defineOptions } from '../../model/defineOptions.ts';
import { PipelineError } from '../../model/errors.ts';
import type { QuotaStore } from '../../model/quotaPorts.ts';
import { errorCode } from './fileErrors.ts';
import { withFileLock } from './fileLock.ts';
import { replaceFile } from './replaceFile.ts';

export interface JsonFileStoreOptions {
  /** The file, one for each API key; it is made when it is not there, its folder is not. */
  path: string;
  /** How long to wait for another process that has the file in hand, in milliseconds. Default: 5000. */
  lockTimeoutMs?: number | undefined;
}

const resolveOptions = defineOptions<JsonFileStoreOptions>('jsonFileStore')({
  path: z.string().min(1),
  lockTimeoutMs: z.int().min(1).max(60_000).default(5_000),
});

/** Periods long past are forgotten; a clock that is set back a little finds its own again. */
const mostPeriods = 64;

const fileSchema = z.object({ version: z.literal(1), used: z.record(z.string(), z.int().min(0)) });

type Used = z.output<typeof fileSchema>['used'];

/**
 * A store of quotas in a JSON file: the count of days and months survives a crash of the process and of the machine. Several
 * processes of one machine may use one file.
 *
 * - The file is replaced as a whole, and is on the disk before a booking is answered.
 * - Processes take turns by a lock file beside it, `<path>.lock`; the lock of a process that is gone is taken over. Not for
 *   network drives, nor for containers that do not see each other's processes: share a quota through PostgreSQL there.
 * - A file that is not there counts as nothing used; one that vanishes while the process runs is written anew from what the
 *   process knows.
 * - Errors: each call rejects with a `PipelineError` of code `internal` when the file cannot be read or written, is no such
 *   file, or is held by another process for longer than `lockTimeoutMs`. Nothing is granted then.
 *
 * @example
 * ```ts
 * import { mkdtemp, rm } from 'node:fs/promises';
 * import { tmpdir } from 'node:os';
 * import { join } from 'node:path';
 * import { jsonFileStore } from 'fintrack-pipelines';
 *
 * const folder = await mkdtemp(join(tmpdir(), 'quota-'));
 * const path = join(folder, 'quota.json');
 * console.log(await jsonFileStore({ path }).book('2026-11-24', 20, 800));
 * // 20
 * console.log(await jsonFileStore({ path }).used?.('2026-11-24'));
 * // 20
 * await rm(folder, { recursive: true });
 * ```
 */
export function jsonFileStore(options: JsonFileStoreOptions): QuotaStore {
  const settings = resolveOptions(options);
  const file = new QuotaFile(resolve(settings.path), settings.lockTimeoutMs);
  return {
    book: (period, credits, limit) =>
      file.change((used) => {
        const before = used[period] ?? 0;
        const booked = Math.max(0, Math.min(credits, limit - before));
        return { used: { ...used, [period]: before + booked }, answer: booked };
      }),
    giveBack: (period, credits) =>
      file.change((used) => {
        const left = Math.max(0, (used[period] ?? 0) - credits);
        return { used: { ...used, [period]: left }, answer: undefined };
      }),
    used: async (period) => (await file.read())[period] ?? 0,
  };
}

class QuotaFile {
  readonly #path: string;
  readonly #lockTimeoutMs: number;
  /** What this process saw last: the truth when the file has vanished. */
  #known: Used = {};
  /** The changes of this process, one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string, lockTimeoutMs: number) {
    this.#path = path;
    this.#lockTimeoutMs = lockTimeoutMs;
  }

  async read(): Promise<Used> {
    try {
      const text = await readFile(this.#path, 'utf8');
      this.#known = parsed(text);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw this.#failed(error);
    }
    return this.#known;
  }

  change<Answer>(change: (used: Used) => { readonly used: Used; readonly answer: Answer }): Promise<Answer> {
    const changed = this.#last.then(() =>
      withFileLock(`${this.#path}.lock`, this.#lockTimeoutMs, async () => {
        const { used, answer } = change(await this.read());
        const kept = newest(used);
        await replaceFile(this.#path, `${JSON.stringify({ version: 1, used: kept })}\n`);
        this.#known = kept;
        return answer;
      }).catch((error: unknown) => {
        throw this.#failed(error);
      }),
    );
    this.#last = changed.catch(() => undefined);
    return changed;
  }

  #failed(error: unknown): PipelineError {
    if (PipelineError.isInstance(error)) return error;
    const reason = error instanceof Error ? error.message : String(error);
    return new PipelineError('internal', `jsonFileStore: ${this.#path} cannot be used: ${reason}`, { cause: error });
  }
}

function parsed(text: string): Used {
  const result = fileSchema.safeParse(json(text));
  if (result.success) return result.data.used;
  throw new Error(
    'it is no file of quotas; remove it to begin a new count, if what was used in this period may be forgotten',
  );
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Of equal months the month itself comes last, as the one that ends last. */
function newest(used: Used): Used {
  const endOf = (period: string): string => period.padEnd(10, '-99');
  const periods = Object.keys(used).sort((one, other) => (endOf(one) < endOf(other) ? -1 : 1));
  return Object.fromEntries(periods.slice(-mostPeriods).map((period) => [period, used[period] ?? 0]));
}
