import { createReadStream } from 'node:fs';
import { addAbortSignal, Readable } from 'node:stream';
import type { Observable } from 'rxjs';
import { z } from 'zod';
import { fromPages } from '../flow/fromPages.ts';
import { callback, defineOptions } from '../model/defineOptions.ts';
import { OptionsError, PipelineError, RequestError } from '../model/errors.ts';
import type { Asset, MarketIndex } from '../model/records.ts';
import { readAsset } from '../model/requests/assetEntries.ts';
import { readSymbol, show, type RefusedInput } from '../model/requests/request.ts';
import { CsvReader, type CsvRow } from './CsvReader.ts';

/** A row that names no asset or index, and why. */
export interface BadRow extends RefusedInput {
  /** The line it begins on, from 1. */
  readonly line: number;
}

/** Text in pieces of any size, such as standard input; a string is one piece. */
export type CsvInput = string | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

export interface FromCsvOptions {
  /** The file. Default: none, `input` is read. */
  path?: string | undefined;
  /** What is read instead of a file. Default: none, `path` is read. */
  input?: CsvInput | undefined;
  /** What the rows are: assets, with the header `symbol,asset_type`, or indexes, with `symbol`. Default: `asset`. */
  kind?: 'asset' | 'index' | undefined;
  /** Gets each row that cannot be read, and the others are emitted. Default: the first one errors the stream. */
  onBadRow?: ((row: BadRow) => void) | undefined;
  /** When aborted, the stream errors with `canceled`. Default: none. */
  signal?: AbortSignal | undefined;
}

const resolveOptions = defineOptions<FromCsvOptions>('fromCsv')({
  path: z.string().min(1).optional(),
  input: z.custom<CsvInput>(isInput, { error: 'expected text or an iterable of it' }).optional(),
  kind: z.enum(['asset', 'index']).default('asset'),
  onBadRow: callback<(row: BadRow) => void>().optional(),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
});

type ResolvedOptions = ReturnType<typeof resolveOptions>;

const headers = { asset: ['symbol', 'asset_type'], index: ['symbol'] } as const;

/**
 * Emits the rows of a file of symbols, reading on as they are taken: memory stays the same whatever its size.
 *
 * The file is UTF-8, with or without a byte order mark, its columns in any order. Quotes and line ends are those of
 * RFC 4180, empty lines are left out, and duplicates are emitted as often as they stand there.
 *
 * Errors with an `OptionsError` when the file cannot be opened; with a `RequestError` that names the line when its
 * header is missing or another one, when it is no UTF-8 or no CSV, and at the first row that is no asset or index unless
 * `onBadRow` takes it. Completes at the end of the file; unsubscribing closes it.
 *
 * @example
 * ```ts
 * import { fromCsv } from 'fintrack-pipelines';
 *
 * const input = 'symbol,asset_type\nAAPL,STOCK\nEUR/USD,FOREX\nGOLD,METAL\n';
 * fromCsv({ input, onBadRow: ({ line, symbol }) => console.log('line', line, symbol) }).subscribe({
 *   next: (asset) => console.log(asset),
 *   complete: () => console.log('done'),
 * });
 * // { symbol: 'AAPL', assetType: 'STOCK' }
 * // { symbol: 'EUR/USD', assetType: 'FOREX' }
 * // line 4 GOLD
 * // done
 * ```
 */
export function fromCsv(options: FromCsvOptions & { kind: 'index' }): Observable<MarketIndex>;
export function fromCsv(options: FromCsvOptions & { kind?: 'asset' | undefined }): Observable<Asset>;
export function fromCsv(options: FromCsvOptions): Observable<Asset | MarketIndex> {
  const resolved = resolveOptions(options);
  const { path, input } = resolved;
  if ((path === undefined) === (input === undefined)) throw new OptionsError('fromCsv: expected either path or input');
  return fromPages((signal) => readPages(resolved, signal));
}

/** In pages as large as the pieces of text, cut at bad rows so that everything is told in the order of the file. */
async function* readPages(
  options: ResolvedOptions,
  unsubscribed: AbortSignal,
): AsyncGenerator<readonly (Asset | MarketIndex)[], void, undefined> {
  const { kind, onBadRow } = options;
  const name = nameOf(options);
  let header: CsvRow | undefined;
  for await (const rows of readRows(options, unsubscribed)) {
    const page: (Asset | MarketIndex)[] = [];
    for (const row of rows) {
      if (header === undefined) {
        header = checkHeader(name, kind, row);
        continue;
      }
      const { record, bad } = readRow(name, kind, header, row);
      if (record !== undefined) page.push(record);
      if (bad === undefined) continue;
      yield page.splice(0);
      if (onBadRow === undefined) throw bad.error;
      onBadRow(bad);
    }
    yield page;
  }
  if (header === undefined)
    throw new RequestError('request_malformed', `${name}: expected ${headerOf(kind)}, got nothing`);
}

async function* readRows(
  options: ResolvedOptions,
  unsubscribed: AbortSignal,
): AsyncGenerator<readonly CsvRow[], void, undefined> {
  const name = nameOf(options);
  const reader = new CsvReader(name);
  try {
    for await (const text of readText(name, openStream(options, unsubscribed))) yield reader.read(text);
    yield reader.end();
  } catch (error) {
    throw explain(error, options);
  }
}

function openStream({ path, input, signal }: ResolvedOptions, unsubscribed: AbortSignal): Readable {
  const stream = path === undefined ? Readable.from(input ?? '') : createReadStream(path);
  if (signal !== undefined) addAbortSignal(signal, stream);
  return addAbortSignal(unsubscribed, stream);
}

async function* readText(
  name: string,
  stream: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch (error) {
      throw new RequestError('request_malformed', `${name}: expected UTF-8, got bytes that are not`, { cause: error });
    }
  };
  for await (const piece of stream) yield typeof piece === 'string' ? piece : decode(piece);
  yield decode();
}

function checkHeader(name: string, kind: keyof typeof headers, { line, fields }: CsvRow): CsvRow {
  const columns = fields.map((field) => field.trim().toLowerCase());
  const isExpected =
    columns.length === headers[kind].length && headers[kind].every((column) => columns.includes(column));
  if (isExpected) return { line, fields: columns };
  const message = `${name}, line ${line}: expected ${headerOf(kind)}, got ${show(fields.join(','))}`;
  throw new RequestError('request_malformed', message);
}

function headerOf(kind: keyof typeof headers): string {
  return `the header ${headers[kind].join(',')}`;
}

function readRow(
  name: string,
  kind: keyof typeof headers,
  { fields: columns }: CsvRow,
  { line, fields }: CsvRow,
): { readonly record?: Asset | MarketIndex; readonly bad?: BadRow } {
  const where = `${name}, line ${line}`;
  if (fields.length !== columns.length) {
    const message = `${where}: expected ${columns.length} fields, got ${fields.length}: ${show(fields.join(','))}`;
    return { bad: { line, symbol: fields[0] ?? '', error: new RequestError('request_malformed', message) } };
  }
  const entry = Object.fromEntries(columns.map((column, position) => [column, fields[position]?.trim()]));
  const read: Asset | MarketIndex | RefusedInput = kind === 'asset' ? readAsset(entry) : readSymbol(entry['symbol']);
  if (!isRefused(read)) return { record: read };
  return { bad: { ...read, line, error: new RequestError(read.error.code, `${where}: ${read.error.message}`) } };
}

function isRefused(read: Asset | MarketIndex | RefusedInput): read is RefusedInput {
  return 'error' in read;
}

/** An error in the user's terms: the stream knows neither the option nor whose signal it was. */
function explain(error: unknown, { path, signal }: ResolvedOptions): unknown {
  if (PipelineError.isInstance(error)) return error;
  if (signal?.aborted === true) return new PipelineError('canceled', 'fromCsv: canceled', { cause: signal.reason });
  const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
  if (path === undefined || code === undefined) return error;
  const reason = reasons.get(code) ?? code;
  return new OptionsError(`fromCsv: path: expected a file that can be read, got ${show(path)}: ${reason}`, {
    cause: error,
  });
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EISDIR', 'it is a folder'],
  ['EACCES', 'reading it is not permitted'],
]);

function nameOf({ path }: ResolvedOptions): string {
  return path ?? 'input';
}

function isInput(value: unknown): boolean {
  if (typeof value === 'string') return true;
  return typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value);
}
