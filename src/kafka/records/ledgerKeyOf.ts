import type { SourceRecord } from '../../model/recordPorts.ts';

/**
 * The ledger key of the request that a record holds: `topic-partition-offset-timestamp`.
 *
 * The same record has the same key however often it is delivered. The timestamp is there for topics that are deleted and made
 * again: their offsets begin anew.
 *
 * @example
 * ```ts
 * import { ledgerKeyOf } from 'fintrack-pipelines/kafka';
 *
 * const content = { key: null, value: null, headers: [] };
 * console.log(ledgerKeyOf({ topic: 'MARKET_DATA_UPDATE_REQUEST', partition: 0, offset: 42n, timestampMs: 1764000000000, ...content }));
 * // MARKET_DATA_UPDATE_REQUEST-0-42-1764000000000
 * ```
 */
export function ledgerKeyOf({ topic, partition, offset, timestampMs }: SourceRecord): string {
  return `${topic}-${partition}-${offset}-${timestampMs}`;
}
