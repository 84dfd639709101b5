import type { PostgresRequest } from '../wire/postgresWire.ts';
import { isBatchWrite } from './crashPoints.ts';

interface Look {
  readonly atMs: number;
  readonly key: string;
  readonly covers: (batch: number) => boolean;
}

/** When a worker looked into the ledger for which batches: by its statements on the wire. */
export class LedgerLooks {
  readonly #looks = new Map<string, Look[]>();

  see(message: PostgresRequest): void {
    if (message.type !== 'bind' || isBatchWrite(message.text) || !/from\s+"[^"]+"\."batches"/i.test(message.text))
      return;
    const [key, which] = message.parameters;
    if (typeof key !== 'string') return;
    const looks = this.#looks.get(key) ?? [];
    looks.push({ atMs: Date.now(), key, covers: coverage(message.text, which ?? null) });
    this.#looks.set(key, looks);
  }

  /** When it looked for the batch for the last time before that moment, if it did. */
  lastBefore(key: string, batch: number, atMs: number): number | undefined {
    return this.#looks.get(key)?.findLast((look) => look.atMs <= atMs && look.covers(batch))?.atMs;
  }
}

function coverage(text: string, which: string | null): Look['covers'] {
  if (which === null) return () => true;
  if (which.startsWith('{')) {
    const numbers = new Set(which.slice(1, -1).split(',').map(Number));
    return (batch) => numbers.has(batch);
  }
  return text.includes('number > $2') ? (batch) => batch > Number(which) : (batch) => batch === Number(which);
}
