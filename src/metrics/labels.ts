import { errorCodes } from '../model/errors.ts';

const knownResults: ReadonlySet<string> = new Set(['ok', ...errorCodes]);

/** A result or an error code as a label: an adapter of somebody's own may answer anything, a label must not. */
export function knownResult(result: string): string {
  return knownResults.has(result) ? result : 'internal';
}
