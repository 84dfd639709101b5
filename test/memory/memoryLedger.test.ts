import { describe, expect, it } from 'vitest';
import { memoryLedger } from '../../src/memory/memoryLedger.ts';
import { RequestError } from '../../src/model/errors.ts';

const request = { key: 'r', pipeline: 'market-data', inputs: ['A', 'B'], batchSize: 100 };
const written = { inserted: 1, updated: 0, unchanged: 0, transactions: 1 };
const ok = { status: 'ok', input: 'A', value: 1 } as const;
const skipped = { status: 'skipped', input: 'B', reason: 'quota' } as const;

/** `Array.fromAsync`, which Node 20 does not have. */
async function readAll<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const read: Item[] = [];
  for await (const item of items) read.push(item);
  return read;
}

describe('memoryLedger', () => {
  it('answers what was accepted first', async () => {
    let time = 1_000;
    const ledger = memoryLedger<string, number>({ now: () => time });
    const first = await ledger.accept(request);
    time = 2_000;
    expect(first).toEqual({ inputs: ['A', 'B'], batchSize: 100, acceptedAt: new Date(1_000) });
    expect(await ledger.accept({ ...request, batchSize: 7 })).toEqual(first);
  });

  it('keeps the list as it was, whatever becomes of the array', async () => {
    const ledger = memoryLedger<string, number>();
    const inputs = ['A', 'B'];
    await ledger.accept({ ...request, inputs });
    inputs.pop();
    expect((await ledger.accept(request)).inputs).toEqual(['A', 'B']);
  });

  it.each([
    ['another list', { inputs: ['B', 'A'] }],
    ['a shorter list', { inputs: ['A'] }],
    ['another pipeline', { pipeline: 'market-index-data' }],
  ])('refuses %s under the same key, and keeps the first', async (_, other) => {
    const ledger = memoryLedger<string, number>();
    await ledger.accept(request);
    const refused = ledger.accept({ ...request, ...other });
    await expect(refused).rejects.toThrow(RequestError);
    await expect(refused).rejects.toMatchObject({ code: 'request_conflict', message: /request r was accepted before/ });
    expect((await ledger.accept(request)).inputs).toEqual(['A', 'B']);
  });

  it('knows nothing of a batch that was not stored', async () => {
    const ledger = memoryLedger<string, number>();
    expect(await ledger.stored('r', 0)).toBeUndefined();
    expect(ledger.read('r', 0)).toBeUndefined();
    expect(await readAll(ledger.batches('r'))).toEqual([]);
  });

  it('answers what was skipped as pending to whoever goes on with it, and as skipped to whoever reads', async () => {
    const ledger = memoryLedger<string, number>();
    ledger.store('r', 0, { outcomes: [ok, skipped], written });
    const batch = { index: 0, request: 'r', written };
    expect(await ledger.stored('r', 0)).toEqual({ ...batch, outcomes: [ok, { status: 'pending', input: 'B' }] });
    expect(await readAll(ledger.batches('r'))).toEqual([{ ...batch, outcomes: [ok, skipped] }]);
  });

  it('lists no batch that was canceled, but goes on with it, and lets it fail', async () => {
    const ledger = memoryLedger<string, number>();
    const canceled = { status: 'skipped', input: 'B', reason: 'canceled' } as const;
    ledger.store('r', 0, { outcomes: [ok, canceled], written });
    expect(await ledger.storedNumbers('r')).toEqual([]);
    expect(await readAll(ledger.batches('r'))).toEqual([]);
    expect((await ledger.stored('r', 0))?.outcomes).toEqual([ok, { status: 'pending', input: 'B' }]);
    const error = new RequestError('internal', 'no');
    await ledger.storeFailed('r', { index: 0, inputs: ['A', 'B'], error });
    expect(await ledger.storedNumbers('r')).toEqual([0]);
    expect(ledger.read('r', 0)?.outcomes.map(({ status }) => status)).toEqual(['failed', 'failed']);
  });

  it('reads batches by number, and those of one request only', async () => {
    const ledger = memoryLedger<string, number>();
    for (const index of [10, 2, 0]) ledger.store('r', index, { outcomes: [ok], written });
    ledger.store('other', 1, { outcomes: [ok], written });
    const batches = await readAll(ledger.batches('r'));
    expect(batches.map(({ index }) => index)).toEqual([0, 2, 10]);
  });
});
