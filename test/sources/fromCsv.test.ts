import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { lastValueFrom, take, tap, timer, toArray, map } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { mergeMapBounded } from '../../src/flow/mergeMapBounded.ts';
import { OptionsError, PipelineError, RequestError } from '../../src/model/errors.ts';
import { fromCsv, type BadRow, type CsvInput, type FromCsvOptions } from '../../src/sources/fromCsv.ts';

const assetsOf = (input: CsvInput, options: Pick<FromCsvOptions, 'onBadRow' | 'signal'> = {}) =>
  lastValueFrom(fromCsv({ input, ...options }).pipe(toArray()));
const apple = { symbol: 'AAPL', assetType: 'STOCK' };
const euro = { symbol: 'EUR/USD', assetType: 'FOREX' };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'from-csv-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(content: string | Uint8Array): Promise<string> {
  const path = join(folder, `${Math.random()}.csv`);
  await writeFile(path, content);
  return path;
}

describe('fromCsv, what it reads', () => {
  it('reads assets of a file', async () => {
    const path = await fileOf('symbol,asset_type\nAAPL,STOCK\nEUR/USD,FOREX\n');
    expect(await lastValueFrom(fromCsv({ path }).pipe(toArray()))).toEqual([apple, euro]);
  });

  it('reads indexes', async () => {
    const indexes = fromCsv({ input: 'symbol\n^GSPC\nGC=F\n', kind: 'index' });
    expect(await lastValueFrom(indexes.pipe(toArray()))).toEqual([{ symbol: '^GSPC' }, { symbol: 'GC=F' }]);
  });

  it.each([
    ['a byte order mark, quotes and CRLF', '\uFEFF"symbol","asset_type"\r\n"AAPL","STOCK"\r\n\r\nEUR/USD,FOREX'],
    ['the columns in another order', 'asset_type,symbol\nSTOCK,AAPL\nFOREX,EUR/USD'],
    ['blanks and capitals', ' Symbol , ASSET_TYPE \n AAPL , STOCK \nEUR/USD,FOREX\n   \n'],
  ])('takes %s', async (_, text) => {
    expect(await assetsOf(text)).toEqual([apple, euro]);
    expect(await lastValueFrom(fromCsv({ path: await fileOf(text) }).pipe(toArray()))).toEqual([apple, euro]);
  });

  it('completes without a row after the header', async () => {
    expect(await assetsOf('symbol,asset_type\n')).toEqual([]);
  });

  it('reads text and bytes in pieces of any size', async () => {
    const bytes = new TextEncoder().encode('\uFEFFsymbol,asset_type\r\nÄÖ,STOCK\r\n');
    expect(await assetsOf([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual([{ ...apple, symbol: 'ÄÖ' }]);
    const pieces = (async function* () {
      for (const character of 'symbol,asset_type\nAAPL,STOCK\n') yield await Promise.resolve(character);
    })();
    expect(await assetsOf(pieces)).toEqual([apple]);
  });

  it('reads the file anew for each subscriber', async () => {
    const assets = fromCsv({ path: await fileOf('symbol,asset_type\nAAPL,STOCK\n') }).pipe(toArray());
    expect(await lastValueFrom(assets)).toEqual([apple]);
    expect(await lastValueFrom(assets)).toEqual([apple]);
  });
});

describe('fromCsv, what it refuses', () => {
  const caught = async (read: Promise<unknown>): Promise<PipelineError> => {
    const error: unknown = await read.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (PipelineError.isInstance(error)) return error;
    throw new Error(`expected a PipelineError, got ${String(error)}`);
  };

  it.each([
    ['', 'input: expected the header symbol,asset_type, got nothing'],
    ['symbol\nAAPL', 'input, line 1: expected the header symbol,asset_type, got "symbol"'],
    ['\nsymbol,type\n', 'input, line 2: expected the header symbol,asset_type, got "symbol,type"'],
    ['symbol,symbol\n', 'got "symbol,symbol"'],
    ['AAPL,STOCK\n', 'got "AAPL,STOCK"'],
    ['symbol,asset_type,note\n', 'got "symbol,asset_type,note"'],
    ['symbol,asset_type\nAAPL,BOND', 'input, line 2: AAPL: asset_type: expected one of STOCK, CRYPTO'],
    ['symbol,asset_type\n,STOCK', 'input, line 2: symbol: expected 1 to 255 characters'],
    ['symbol,asset_type\nAAPL', 'input, line 2: expected 2 fields, got 1: "AAPL"'],
    ['symbol,asset_type\n"AAPL,STOCK', 'input, line 2: a quote is opened and never closed'],
  ])('names the line and the value: %j', async (text, message) => {
    const error = await caught(assetsOf(text));
    expect(error).toBeInstanceOf(RequestError);
    expect(error.message).toContain(message);
  });

  it.each([
    ['UTF-16', Buffer.from('\uFEFFsymbol,asset_type', 'utf16le')],
    ['a character cut off', Uint8Array.of(0xc3)],
  ])('refuses %s', async (_, bytes) => {
    expect(await caught(assetsOf([bytes]))).toMatchObject({ code: 'request_malformed', message: /expected UTF-8/ });
  });

  it('names a file that cannot be opened', async () => {
    const missing = await caught(lastValueFrom(fromCsv({ path: join(folder, 'nowhere.csv') })));
    expect(missing).toBeInstanceOf(OptionsError);
    expect(missing.message).toMatch(/nowhere\.csv".*there is no such file/);
    expect(await caught(lastValueFrom(fromCsv({ path: folder })))).toMatchObject({ message: /it is a folder/ });
  });

  it('needs either a file or an input', () => {
    expect(() => fromCsv({})).toThrow('fromCsv: expected either path or input');
    expect(() => fromCsv({ path: 'a.csv', input: 'symbol' })).toThrow(OptionsError);
    expect(() => fromCsv({ input: 5 as never })).toThrow('fromCsv: input: expected text or an iterable of it, got 5');
  });

  it('emits what stands before the first bad row', async () => {
    const seen: unknown[] = [];
    const text = 'symbol,asset_type\nAAPL,STOCK\nGOLD,METAL\nEUR/USD,FOREX\n';
    const read = lastValueFrom(fromCsv({ input: text }).pipe(tap((asset) => seen.push(asset))));
    expect((await caught(read)).code).toBe('asset_type_unknown');
    expect(seen).toEqual([apple]);
  });

  it('hands bad rows over and goes on, in the order of the file', async () => {
    const told: unknown[] = [];
    const text = 'symbol,asset_type\nAAPL,STOCK\nGOLD,METAL\nEUR/USD,FOREX\nX\n';
    const onBadRow = (row: BadRow) => told.push(row);
    await lastValueFrom(fromCsv({ input: text, onBadRow }).pipe(tap((asset) => told.push(asset))));
    expect(told).toMatchObject([
      apple,
      { line: 3, symbol: 'GOLD', assetType: 'METAL', error: { code: 'asset_type_unknown' } },
      euro,
      { line: 5, symbol: 'X', error: { code: 'request_malformed' } },
    ]);
  });

  it('errors with what the user throws', async () => {
    const onBadRow = () => {
      throw new Error('user');
    };
    await expect(assetsOf('symbol,asset_type\nGOLD,METAL\n', { onBadRow })).rejects.toThrow('user');
  });

  it('errors with what the input throws', async () => {
    const broken = (async function* () {
      yield await Promise.resolve('symbol,asset_type\n');
      throw new Error('cut off');
    })();
    await expect(assetsOf(broken)).rejects.toThrow('cut off');
  });
});

describe('fromCsv, how it ends', () => {
  /** Gives one row and then nothing, until it is closed. */
  function hangingInput() {
    const closed = vi.fn();
    const input = {
      [Symbol.asyncIterator]() {
        const pieces = ['symbol,asset_type\n', 'AAPL,STOCK\n'].values();
        return {
          next: () => {
            const piece = pieces.next();
            return piece.done === true ? new Promise<never>(() => undefined) : Promise.resolve(piece);
          },
          return: () => {
            closed();
            return Promise.resolve({ done: true as const, value: undefined });
          },
        };
      },
    };
    return { input, closed };
  }

  it('errors as canceled when its signal aborts, also while the input says nothing', async () => {
    const controller = new AbortController();
    const { input } = hangingInput();
    const seen: unknown[] = [];
    const read = lastValueFrom(fromCsv({ input, signal: controller.signal }).pipe(tap((asset) => seen.push(asset))));
    await vi.waitFor(() => {
      expect(seen).toEqual([apple]);
    });
    controller.abort(new Error('stop'));
    await expect(read).rejects.toMatchObject({ code: 'canceled', cause: new Error('stop') });
  });

  it('errors as canceled when its signal is aborted before', async () => {
    await expect(assetsOf('symbol,asset_type\n', { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'canceled',
    });
  });

  it('closes the input when unsubscribed', async () => {
    const { input, closed } = hangingInput();
    await lastValueFrom(fromCsv({ input }).pipe(take(1)));
    await vi.waitFor(() => {
      expect(closed).toHaveBeenCalledTimes(1);
    });
  });

  it('leaves no file open when unsubscribed in the middle', async () => {
    const path = await fileOf(`symbol,asset_type\n${'AAPL,STOCK\n'.repeat(50_000)}`);
    const openFiles = () => readdirSync('/dev/fd').length;
    const before = openFiles();
    await new Promise<void>((resolve) => {
      const subscription = fromCsv({ path })
        .pipe(mergeMapBounded(() => timer(0), { concurrency: 1 }))
        .subscribe(() => {
          expect(openFiles()).toBeGreaterThan(before);
          subscription.unsubscribe();
          resolve();
        });
    });
    await vi.waitFor(() => {
      expect(openFiles()).toBe(before);
    });
  });

  it('reads no further than what is taken', async () => {
    const rows = 200;
    let pieces = 0;
    let done = 0;
    let furthest = 0;
    const input = (function* () {
      yield 'symbol,asset_type\n';
      for (; pieces < rows; pieces += 1) {
        furthest = Math.max(furthest, pieces - done);
        yield 'AAPL,STOCK\n';
      }
    })();
    const work = mergeMapBounded(
      (asset: unknown) =>
        timer(0).pipe(
          map(() => {
            done += 1;
            return asset;
          }),
        ),
      { concurrency: 2 },
    );
    const assets = await lastValueFrom(fromCsv({ input }).pipe(work, toArray()));
    await setImmediate();
    expect(assets).toHaveLength(rows);
    // Four in the stage, one in hand, and the one piece that the stream has read ahead.
    expect(furthest).toBeLessThanOrEqual(8);
  });
});
