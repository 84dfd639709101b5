import { resolve } from 'node:path';
import { catchError, lastValueFrom, tap, toArray, type Observable } from 'rxjs';
import {
  fromCsv,
  OptionsError,
  PipelineError,
  RequestError,
  SinkError,
  type Asset,
  type MarketIndex,
  type PipelineName,
  type RefusedInput,
} from '../../index.ts';
import { fromTable, type Database } from '../../postgres/index.ts';

/** Where the symbols of a run come from: exactly one of the options. */
export type SymbolSource =
  | { readonly kind: 'list'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'table'; readonly name: string };

type Options = Readonly<Record<string, string | undefined>>;

export function chooseSymbols(command: string, options: Options): SymbolSource {
  const { symbols, file, 'from-table': table } = options;
  const given = ['symbols', 'file', 'from-table'].filter((name) => options[name] !== undefined);
  if (given.length !== 1) {
    const seen = given.length === 0 ? 'none' : given.map((name) => `--${name}`).join(' and ');
    throw new OptionsError(`${command}: give one of --symbols, --file and --from-table, got ${seen}`);
  }
  if (symbols !== undefined) return { kind: 'list', text: symbols };
  if (file !== undefined) return { kind: 'file', path: file };
  return { kind: 'table', name: table ?? '' };
}

/** The symbols as the message of a request names them, and rows of a file that are none. */
export interface ReadSymbols {
  readonly message: object;
  readonly refused: readonly RefusedInput[];
}

export interface SymbolPlace {
  /** The command that reads them, for messages. */
  readonly command: string;
  /** Where relative paths begin. */
  readonly cwd: string;
  readonly database: Database | undefined;
  readonly signal: AbortSignal;
}

/** Most symbols of a run, with rows that are none: their answers are kept to its end. */
const maxSymbols = 250_000;

/** Reads all symbols: a request holds its whole list. */
export async function readSymbols(
  source: SymbolSource,
  pipeline: PipelineName,
  place: SymbolPlace,
): Promise<ReadSymbols> {
  const isIndex = pipeline === 'market-index-data';
  const refused: RefusedInput[] = [];
  const entries = await readEntries(source, isIndex, place, refused);
  return { message: isIndex ? { symbols: entries.map(({ symbol }) => symbol) } : { assets: entries }, refused };
}

interface Entry {
  readonly symbol: string;
  readonly asset_type?: string | undefined;
}

async function readEntries(
  source: SymbolSource,
  isIndex: boolean,
  { command, cwd, database, signal }: SymbolPlace,
  refused: RefusedInput[],
): Promise<Entry[]> {
  let count = 0;
  const countOne = (): void => {
    if (++count > maxSymbols) throw tooMany(command);
  };
  if (source.kind === 'list') return readList(command, source.text, isIndex);
  const onBadRow = (row: RefusedInput): void => {
    countOne();
    refused.push(row);
  };
  const items =
    source.kind === 'file'
      ? readFile({ path: resolve(cwd, source.path), signal, onBadRow }, isIndex)
      : readTable(command, source.name, isIndex, database);
  const named = items.pipe(
    tap(countOne),
    toArray(),
    catchError((error: unknown) => {
      throw ofOption({ command, source, isIndex, database }, error);
    }),
  );
  const found: readonly (MarketIndex | Asset)[] = await lastValueFrom(named);
  return found.map((item) => ('assetType' in item ? { symbol: item.symbol, asset_type: item.assetType } : item));
}

function readList(command: string, text: string, isIndex: boolean): Entry[] {
  const words = text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  if (words.length > maxSymbols) throw tooMany(command);
  if (words.length > 0) return words.map((word) => (isIndex ? { symbol: word } : readAsset(word)));
  const example = isIndex ? '^GSPC,GC=F' : 'AAPL:STOCK,BTC:CRYPTO,EUR/USD:FOREX';
  throw new OptionsError(`${command}: --symbols: expected a list such as ${example}, got no symbol`);
}

function tooMany(command: string): RequestError {
  return new RequestError(
    'request_refused',
    `${command}: expected at most ${maxSymbols} symbols: give them to several runs`,
  );
}

/** Without a colon the type is missing: the check of the request says so, of that symbol alone. */
function readAsset(word: string): Entry {
  const colon = word.lastIndexOf(':');
  return colon < 0 ? { symbol: word } : { symbol: word.slice(0, colon), asset_type: word.slice(colon + 1) };
}

interface FileOptions {
  readonly path: string;
  readonly signal: AbortSignal;
  readonly onBadRow: (row: RefusedInput) => void;
}

function readFile(options: FileOptions, isIndex: boolean): Observable<MarketIndex | Asset> {
  return isIndex ? fromCsv({ ...options, kind: 'index' }) : fromCsv({ ...options, kind: 'asset' });
}

function readTable(
  command: string,
  name: string,
  isIndex: boolean,
  database: Database | undefined,
): Observable<MarketIndex | Asset> {
  if (database === undefined) {
    throw new OptionsError(
      `${command}: --from-table needs a PostgreSQL server, got --database memory: use --symbols or --file`,
    );
  }
  const [table, schema] = name.split('.', 2).reverse();
  const place = { database, table, ...(schema === undefined ? {} : { schema }) };
  if (!isIndex) return fromTable(place);
  return fromTable({ ...place, key: ['symbol'], toItem: (row) => ({ symbol: String(row['symbol']) }) });
}

const undefinedTable = '42P01';
const undefinedColumn = '42703';

interface Reading extends Pick<SymbolPlace, 'command' | 'database'> {
  readonly source: SymbolSource;
  readonly isIndex: boolean;
}

/** Says of the option what the library says of its own. */
function ofOption({ command, source, isIndex, database }: Reading, cause: unknown): unknown {
  if (!PipelineError.isInstance(cause)) return cause;
  if (source.kind === 'file' && cause.code === 'options_invalid') {
    return new OptionsError(cause.message.replace(/^fromCsv: path/, `${command}: --file`), { cause });
  }
  const { code, message } = (cause.cause ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  if (source.kind !== 'table' || (code !== undefinedTable && code !== undefinedColumn)) return cause;
  const expected = `a table or view with ${isIndex ? 'the column symbol' : 'the columns symbol and asset_type'}`;
  const place = `in schema "${database?.schema ?? ''}", or schema.table`;
  const reason = String(message).split('\n', 1)[0] ?? '';
  return new SinkError(
    'database_not_ready',
    `${command}: --from-table: expected ${expected} ${place}, got: ${reason}`,
    {
      cause,
    },
  );
}
