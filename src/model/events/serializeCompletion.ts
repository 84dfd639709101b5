import { z } from 'zod';
import { defineOptions } from '../defineOptions.ts';
import type { CompletionEvent } from './completion.ts';
import { serializeEntry } from './serializeEvent.ts';

/** A completion above this is sent in parts. In bytes. */
export const maxCompletionBytes = 900_000;

/** Longest text of a failure in an event that is too large, in characters: one text must not fill a part by itself. */
const maxMessageCharacters = 2_000;

/** How much longer the fields of a part get by its own number and that of the parts, in bytes. */
const numbersBytes = 40;

type ListName = 'symbols' | 'assets' | 'failed' | 'skipped';

/** An entry of one of the lists of an event, as it is written. */
interface Entry {
  readonly list: ListName;
  readonly text: string;
  /** What a historical event repeats of it in `symbols`. */
  readonly name?: string;
}

const resolveOptions = defineOptions<{ readonly maxBytes?: number | undefined }>('serializeCompletion')({
  maxBytes: z.number().optional(),
});

/**
 * Writes a completion event as texts that a broker takes: mostly one, by `serializeEvent`.
 *
 * An event of more than `maxBytes` (default: 900,000) is written in parts, which have `part` (from 1), `parts`, and every field
 * that is no list: the totals are those of the whole. The entries of `assets` or `symbols`, `failed` and `skipped` are spread
 * over the parts in this order; each stands in one, and whoever was served stands there with all prices. Messages are cut to
 * 2,000 characters, or fewer where `maxBytes` is small. An event without `assets`, because nothing was served, has none in any
 * part.
 *
 * Where `maxBytes` is too little for even one entry, the answer is one failed event with the code `record_too_large` and no
 * entries. It may be larger than `maxBytes` below some 600 bytes.
 *
 * @example
 * ```ts
 * import { rejectedRequest, RequestError, serializeCompletion } from 'fintrack-pipelines';
 *
 * const event = rejectedRequest('market-index-data', new RequestError('request_malformed', 'request: no list'), 'request-1');
 * const symbols = ['^GSPC', '^NDX', '^DJI', '^RUT'].map((symbol) => ({ symbol, price: '6765.8800' }));
 * const texts = serializeCompletion({ ...event, symbols }, { maxBytes: 390 });
 * for (const text of texts) console.log(text.match(/"symbol":"[^"]+|"price":[0-9.]+|"parts?":[0-9]/g)?.join(' '));
 * // "symbol":"^GSPC "price":6765.8800 "symbol":"^NDX "price":6765.8800 "part":1 "parts":2
 * // "symbol":"^DJI "price":6765.8800 "symbol":"^RUT "price":6765.8800 "part":2 "parts":2
 * ```
 */
export function serializeCompletion(
  event: CompletionEvent,
  options: { readonly maxBytes?: number | undefined } = {},
): readonly string[] {
  const { maxBytes = maxCompletionBytes } = resolveOptions(options);
  const served = servedIn(event);
  const whole = textOf(event, [...served, ...unservedIn(event, Infinity)]);
  if (Buffer.byteLength(whole) <= maxBytes) return [whole];
  return partsOf(event, served, maxBytes) ?? [tooLarge(event, maxBytes)];
}

/** The parts; undefined when even one entry is too much for a part. */
function partsOf(event: CompletionEvent, served: readonly Entry[], maxBytes: number): readonly string[] | undefined {
  const maxCharacters = Math.min(maxMessageCharacters, Math.max(100, Math.floor(maxBytes / 20)));
  const fields = withShortError(event, maxCharacters);
  const room = maxBytes - Buffer.byteLength(textOf(fields, [])) - numbersBytes;
  const groups = pack([...served, ...unservedIn(event, maxCharacters)], room);
  return groups?.map((entries, index) => {
    const numbers = groups.length === 1 ? {} : { part: index + 1, parts: groups.length };
    return textOf({ ...fields, ...numbers }, entries);
  });
}

/** As few groups as their order allows, at least one; undefined when an entry needs more room than there is. */
function pack(entries: readonly Entry[], room: number): readonly (readonly Entry[])[] | undefined {
  let group: Entry[] = [];
  let left = room;
  const groups = [group];
  for (const entry of entries) {
    const bytes =
      Buffer.byteLength(entry.text) + 1 + (entry.name === undefined ? 0 : Buffer.byteLength(entry.name) + 1);
    if (bytes > left) {
      if (group.length > 0) groups.push((group = []));
      left = room;
    }
    group.push(entry);
    left -= bytes;
    if (left < 0) return undefined;
  }
  return left < 0 ? undefined : groups;
}

function withShortError(event: CompletionEvent, maxCharacters: number): CompletionEvent {
  return event.error === undefined ? event : { ...event, error: shortened(event.error, maxCharacters) };
}

function unservedIn({ failed, skipped }: CompletionEvent, maxCharacters: number): readonly Entry[] {
  return [
    ...failed.map((entry): Entry => {
      const text = serializeEntry({ ...entry, message: shortened(entry.message, maxCharacters) });
      return { list: 'failed', text };
    }),
    ...skipped.map((entry): Entry => ({ list: 'skipped', text: serializeEntry(entry) })),
  ];
}

function servedIn(event: CompletionEvent): readonly Entry[] {
  if ('totalSymbols' in event) {
    return (event.symbols ?? []).map((entry) => ({ list: 'symbols', text: serializeEntry(entry) }));
  }
  const isNamedTwice = 'symbols' in event && event.symbols !== undefined;
  return (event.assets ?? []).map((entry) => ({
    list: 'assets',
    text: serializeEntry(entry),
    ...(isNamedTwice ? { name: JSON.stringify(entry.symbol) } : {}),
  }));
}

/** The event with these entries in the lists that it has. One that it lacks, as on total failure, no part has. */
function textOf(event: CompletionEvent, entries: readonly Entry[]): string {
  const lists: Record<ListName, string[]> = { symbols: [], assets: [], failed: [], skipped: [] };
  for (const { list, text, name } of entries) {
    lists[list].push(text);
    if (name !== undefined) lists.symbols.push(name);
  }
  const fields = Object.entries(event).flatMap(([name, value]: [string, unknown]) => {
    if (value === undefined) return [];
    return [`"${name}":${name in lists ? `[${lists[name as ListName].join(',')}]` : JSON.stringify(value)}`];
  });
  return `{${fields.join(',')}}`;
}

/** What a client is told whose answer its topic does not take in any form. */
function tooLarge(event: CompletionEvent, maxBytes: number): string {
  const told = {
    ...event,
    status: 'failed',
    error: `the answer does not fit into the ${maxBytes} bytes that its topic takes: raise its max.message.bytes`,
    errorType: 'record_too_large',
    batchId: `${event.requestId}#0`,
    failedBatch: 0,
    ...{ assets: undefined, symbols: undefined, failed: [], skipped: [] },
  };
  const text = JSON.stringify(told);
  if (Buffer.byteLength(text) <= maxBytes) return text;
  return JSON.stringify({ ...told, account_id: undefined, accountId: undefined });
}

function shortened(message: string, maxCharacters: number): string {
  return message.length > maxCharacters ? `${message.slice(0, Math.max(0, maxCharacters - 3))}...` : message;
}
