import type { AssetEntry, CompletionEvent } from './completion.ts';
import type { MarketIndexEntry } from './marketIndexDataCompleted.ts';
import { serializeEvent } from './serializeEvent.ts';

/** A completion above this leaves its prices out; one still above is sent in parts. In bytes. */
export const maxCompletionBytes = 900_000;

/** An entry is hardly ever written in fewer bytes: `{"symbol":"A","reason":"quota"}`. */
const minEntryBytes = 30;

/** Longest text of a failure in an event that is too large, in characters: one text must not fill a part by itself. */
const maxMessageCharacters = 2_000;

/** How much longer the fields of a part get by its own number and that of the parts, in bytes. */
const numbersBytes = 40;

/** An entry of one of the lists of an event, as an event that is too large has it. */
interface Entry {
  readonly list: 'assets' | 'indexes' | 'failed' | 'skipped';
  readonly value: { readonly symbol: string } & Readonly<Record<string, unknown>>;
  readonly bytes: number;
}

/**
 * Writes a completion event as texts that a broker takes: mostly one, by `serializeEvent`.
 *
 * An event of more than `maxBytes` (default: 900,000) leaves the prices out, names what was served in the short form (`symbol`,
 * `asset_type` and `assetType`, of an index `symbol`), and cuts messages of more than 2,000 characters. If that is still too
 * much it is written in parts, which have `part` (from 1), `parts`, and every field that is no list: the totals are those of
 * the whole. The entries of `assets` or `symbols`, `failed` and `skipped` are spread over the parts in this order; each stands
 * in one.
 *
 * @example
 * ```ts
 * import { rejectedRequest, RequestError, serializeCompletion } from 'fintrack-pipelines';
 *
 * const event = rejectedRequest('market-index-data', new RequestError('request_malformed', 'request: no list'), 'request-1');
 * const symbols = ['^GSPC', '^NDX', '^DJI'].map((symbol) => ({ symbol, price: '6765.8800' }));
 * const texts = serializeCompletion({ ...event, symbols }, { maxBytes: 345 });
 * for (const text of texts) console.log(text.match(/"symbol":"[^"]+|"parts?":[0-9]/g)?.join(' '));
 * // "symbol":"^GSPC "symbol":"^NDX "part":1 "parts":2
 * // "symbol":"^DJI "part":2 "parts":2
 * ```
 */
export function serializeCompletion(
  event: CompletionEvent,
  { maxBytes = maxCompletionBytes }: { readonly maxBytes?: number | undefined } = {},
): readonly string[] {
  // What cannot fit is not written in vain: 100,000 entries take half a second, in which nothing else happens.
  if (countEntries(event) * minEntryBytes <= maxBytes) {
    const whole = serializeEvent(event);
    if (Buffer.byteLength(whole) <= maxBytes) return [whole];
  }
  return shortTexts(event, maxBytes);
}

function shortTexts(event: CompletionEvent, maxBytes: number): readonly string[] {
  const fields = fieldsOf(event);
  const room = maxBytes - bytesOf({ ...fields, ...listsOf(event, []) }) - numbersBytes;
  const groups = pack(entriesOf(event), room);
  return groups.map((entries, index) => {
    const numbers = groups.length === 1 ? {} : { part: index + 1, parts: groups.length };
    // Without prices there is no decimal left, and plain JSON is several times faster.
    return JSON.stringify({ ...fields, ...numbers, ...listsOf(event, entries) });
  });
}

/** As few groups as their order allows, at least one. */
function pack(entries: readonly Entry[], room: number): readonly (readonly Entry[])[] {
  let group: Entry[] = [];
  let left = room;
  const groups = [group];
  for (const entry of entries) {
    if (entry.bytes > left && group.length > 0) {
      groups.push((group = []));
      left = room;
    }
    group.push(entry);
    left -= entry.bytes;
  }
  return groups;
}

/** All that is no list. */
function fieldsOf(event: CompletionEvent): object {
  const { error } = event;
  const lists = { assets: undefined, symbols: undefined, failed: undefined, skipped: undefined };
  return { ...event, ...lists, ...(error === undefined ? {} : { error: shortened(error) }) };
}

function entriesOf(event: CompletionEvent): readonly Entry[] {
  const { assets = [], indexes = [], isNamedTwice } = servedIn(event);
  const entry = (list: Entry['list'], value: Entry['value']): Entry => {
    const nameBytes = list === 'assets' && isNamedTwice ? bytesOf(value.symbol) + 1 : 0;
    return { list, value, bytes: bytesOf(value) + 1 + nameBytes };
  };
  return [
    ...assets.map(({ symbol, asset_type, assetType }) => entry('assets', { symbol, asset_type, assetType })),
    ...indexes.map(({ symbol }) => entry('indexes', { symbol })),
    ...event.failed.map((failed) => entry('failed', { ...failed, message: shortened(failed.message) })),
    ...event.skipped.map((skipped) => entry('skipped', { ...skipped })),
  ];
}

/** The lists that the event has, with these entries. One that it lacks, as on total failure, no part has. */
function listsOf(event: CompletionEvent, entries: readonly Entry[]): object {
  const { assets, indexes, isNamedTwice } = servedIn(event);
  const valuesOf = (wanted: Entry['list']): Entry['value'][] =>
    entries.filter(({ list }) => list === wanted).map(({ value }) => value);
  return {
    symbols: isNamedTwice ? valuesOf('assets').map(({ symbol }) => symbol) : indexes && valuesOf('indexes'),
    assets: assets && valuesOf('assets'),
    failed: valuesOf('failed'),
    skipped: valuesOf('skipped'),
  };
}

interface Served {
  readonly assets?: readonly AssetEntry[] | undefined;
  readonly indexes?: readonly MarketIndexEntry[] | undefined;
  /** Whether `symbols` repeats the symbols of `assets`, as in historical events. */
  readonly isNamedTwice: boolean;
}

function servedIn(event: CompletionEvent): Served {
  if ('totalSymbols' in event) return { indexes: event.symbols, isNamedTwice: false };
  return { assets: event.assets, isNamedTwice: 'symbols' in event && event.symbols !== undefined };
}

function countEntries(event: CompletionEvent): number {
  const { assets = [], indexes = [] } = servedIn(event);
  return assets.length + indexes.length + event.failed.length + event.skipped.length;
}

function shortened(message: string): string {
  return message.length > maxMessageCharacters ? `${message.slice(0, maxMessageCharacters - 3)}...` : message;
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
