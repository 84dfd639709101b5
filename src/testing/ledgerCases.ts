import assert from 'node:assert/strict';
import { PipelineError } from '../model/errors.ts';
import type { Outcome } from '../model/outcome.ts';
import {
  collect,
  current,
  failed,
  firstOf,
  isConflict,
  kindOf,
  minuteMs,
  ok,
  write,
  type SinkCase,
} from './sinkCaseTools.ts';

const pipeline = 'sink-contract';

/** What a sink's ledger remembers. */
export function ledgerCases<I, T>(): SinkCase<I, T>[] {
  return [
    {
      name: 'tries again what the quota left over, and nothing else',
      check: async (opened) => {
        const [first, second, third] = opened.inputs;
        assert.ok(first !== undefined && second !== undefined && third !== undefined);
        const skipped: Outcome<I, T> = { status: 'skipped', input: second, reason: 'quota' };
        const before = await write(opened, {
          index: 0,
          request: 'quota',
          outcomes: [ok(opened, first), skipped, failed(third)],
        });
        const taken = await opened.sink.ledger.stored('quota', 0);
        assert.deepEqual(taken?.outcomes.map(kindOf), ['ok', 'pending', 'fetch symbol_unknown']);
        const [listed] = await collect(opened.sink.ledger.batches('quota'));
        assert.deepEqual(listed?.outcomes.map(kindOf), ['ok', 'skipped quota', 'fetch symbol_unknown']);

        const outcomes = [failed<I>(first), ok(opened, second), ok(opened, third)];
        const after = await write(opened, { index: 0, request: 'quota', outcomes });
        assert.deepEqual(after.stored?.map(kindOf), ['ok', 'ok', 'fetch symbol_unknown']);
        assert.ok(after.inserted > before.inserted, 'the counts of both writes add up');
        assert.deepEqual((await opened.sink.ledger.stored('quota', 0))?.outcomes.map(kindOf), after.stored.map(kindOf));
      },
    },
    {
      name: 'leaves what was canceled to whoever takes the request up again',
      check: async (opened) => {
        const [first, second] = opened.inputs;
        assert.ok(first !== undefined && second !== undefined);
        const canceled: Outcome<I, T> = { status: 'skipped', input: second, reason: 'canceled' };
        await write(opened, { index: 0, request: 'canceled', outcomes: [ok(opened, first), canceled] });
        // To whoever waits for it, it is not there.
        assert.deepEqual(await opened.sink.ledger.storedNumbers('canceled'), []);
        const batch = await opened.sink.ledger.stored('canceled', 0);
        assert.ok(batch === undefined || batch.outcomes[1]?.status === 'pending');
        const [standing] = await current(opened, [first]);
        assert.equal(standing?.status, 'fresh');
        const result = await write(opened, {
          index: 0,
          request: 'canceled',
          outcomes: [ok(opened, first), ok(opened, second)],
        });
        assert.deepEqual(result.stored?.map(kindOf), ['ok', 'ok']);
      },
    },
    {
      name: 'accepts a request once, and refuses its key with another list',
      check: async ({ sink: { ledger }, inputs }) => {
        const first = await ledger.accept({ key: 'accepted', pipeline, inputs, batchSize: 3 });
        const again = await ledger.accept({ key: 'accepted', pipeline, inputs, batchSize: 50 });
        assert.deepEqual([again.inputs, again.batchSize, again.acceptedAt], [inputs, 3, first.acceptedAt]);
        // Its age grows, where the ledger tells it.
        assert.ok((again.ageMs ?? 0) >= (first.ageMs ?? 0));
        for (const other of [[], inputs.slice(1), [...inputs].reverse()]) {
          await assert.rejects(ledger.accept({ key: 'accepted', pipeline, inputs: other, batchSize: 3 }), isConflict);
        }
        await assert.rejects(ledger.accept({ key: 'accepted', pipeline: 'other', inputs, batchSize: 3 }), isConflict);
      },
    },
    {
      name: 'lists the batches of a request by number',
      check: async (opened) => {
        const numbers = Array.from({ length: 60 }, (_, index) => index);
        for (const index of [...numbers].reverse()) {
          await write(opened, { index, request: 'many', outcomes: [failed(firstOf(opened))] });
        }
        await write(opened, { index: 0, request: 'other', outcomes: [failed(firstOf(opened))] });
        assert.deepEqual(
          (await collect(opened.sink.ledger.batches('many'))).map(({ index }) => index),
          numbers,
        );
        assert.deepEqual(await opened.sink.ledger.storedNumbers('many'), numbers);
      },
    },
    {
      name: 'lists those of some batches that are stored, also where the quota ended them',
      check: async (opened) => {
        const { ledger } = opened.sink;
        const skipped: Outcome<I, T> = { status: 'skipped', input: firstOf(opened), reason: 'quota' };
        for (const index of [7, 2, 110, 5]) await write(opened, { index, request: 'some', outcomes: [skipped] });
        assert.deepEqual(await ledger.storedNumbers('some'), [2, 5, 7, 110]);
        // More than are read at once, in no order.
        const wanted = [...Array.from({ length: 100 }, (_, index) => 120 - index), 5, 3];
        assert.deepEqual(await ledger.storedNumbers('some', wanted), [5, 110]);
        const batches = await collect(ledger.batches('some', wanted));
        assert.deepEqual(
          batches.map(({ index, outcomes }) => [index, ...outcomes.map(kindOf)]),
          [
            [5, 'skipped quota'],
            [110, 'skipped quota'],
          ],
        );
        assert.deepEqual(await ledger.storedNumbers('some', []), []);
        assert.deepEqual(await collect(ledger.batches('some', [])), []);
        assert.deepEqual(await ledger.storedNumbers('none'), []);
      },
    },
    {
      name: 'stores a batch that has failed, unless it is there, and what comes after that finds it',
      check: async (opened) => {
        const [first, second] = opened.inputs;
        assert.ok(first !== undefined && second !== undefined);
        const { ledger } = opened.sink;
        const error = new PipelineError('timeout', 'no progress "\0"');
        await write(opened, { index: 0, request: 'failing', outcomes: [ok(opened, first), ok(opened, second)] });
        for (const index of [0, 1, 1]) await ledger.storeFailed('failing', { index, inputs: [first, second], error });
        const [done, lost] = await collect(ledger.batches('failing'));
        assert.deepEqual(done?.outcomes.map(kindOf), ['ok', 'ok']);
        assert.deepEqual(lost?.outcomes.map(kindOf), ['fetch timeout', 'fetch timeout']);
        assert.deepEqual([lost.outcomes[1]?.input, lost.written?.inserted], [second, 0]);
        const late = await write(opened, {
          index: 1,
          request: 'failing',
          outcomes: [ok(opened, first, 2), ok(opened, second, 2)],
        });
        assert.deepEqual(late.stored?.map(kindOf), ['fetch timeout', 'fetch timeout']);
      },
    },
    {
      name: 'counts the starts that nobody has handed back, each by itself',
      check: async ({ sink: { ledger } }) => {
        const start = (token: string, batch?: number) => ({ key: 'starts', batch, token });
        assert.equal(await ledger.begin(start('a'), 9), 0);
        // The answer may have been lost: it is asked again.
        assert.equal(await ledger.begin(start('a'), 9), 0);
        assert.equal(await ledger.begin(start('b'), 9), 1);
        assert.equal(await ledger.begin(start('a', 0), 9), 0);
        assert.equal(await ledger.begin(start('a', 1), 9), 0);
        assert.equal(await ledger.begin({ key: 'other', token: 'c' }, 9), 0);
        // Only its own: whoever was taken for dead, and goes on, changes nothing for its successor.
        await ledger.handBack(start('a'));
        await ledger.handBack(start('a'));
        await ledger.handBack(start('none'));
        await ledger.handBack({ key: 'unknown', token: 'b' });
        assert.equal(await ledger.begin(start('c'), 9), 1);
        assert.equal(await ledger.begin(start('d', 0), 9), 1);
      },
    },
    {
      name: 'does not count a start that may not be, because too many before it are open',
      check: async ({ sink: { ledger } }) => {
        const begin = (token: string, below: number) => ledger.begin({ key: 'bounded', token }, below);
        assert.deepEqual([await begin('a', 2), await begin('b', 2)], [0, 1]);
        for (const token of ['c', 'd']) assert.equal(await begin(token, 2), 2);
        assert.deepEqual([await begin('e', 3), await begin('f', 3)], [2, 3]);
        await ledger.handBack({ key: 'bounded', token: 'd' });
        assert.equal(await begin('g', 3), 3);
        await ledger.handBack({ key: 'bounded', token: 'b' });
        assert.equal(await begin('h', 3), 2);
      },
    },
    {
      name: 'forgets the starts before a batch that was stored',
      check: async (opened) => {
        const { ledger } = opened.sink;
        const begin = (token: string, batch?: number) => ledger.begin({ key: 'stored', batch, token }, 9);
        for (const batch of [undefined, 0, 1]) await begin('a', batch);
        await write(opened, { index: 0, request: 'stored', outcomes: [ok(opened, firstOf(opened))] });
        assert.deepEqual([await begin('b'), await begin('b', 0), await begin('b', 1)], [0, 0, 1]);
        assert.deepEqual([await begin('c'), await begin('c', 0), await begin('c', 1)], [1, 1, 2]);
        const error = new PipelineError('timeout', 'no progress');
        await ledger.storeFailed('stored', { index: 1, inputs: [firstOf(opened)], error });
        assert.deepEqual([await begin('d'), await begin('d', 0), await begin('d', 1)], [0, 2, 0]);
        // A hand-back that comes late finds nothing.
        await ledger.handBack({ key: 'stored', token: 'a' });
        assert.equal(await begin('e'), 1);
      },
    },
    {
      name: 'rejects what is aborted, and stores nothing of it',
      check: async (opened) => {
        const reason = new PipelineError('canceled', 'over');
        const call = { signal: AbortSignal.abort(reason), maxAgeMs: minuteMs };
        const batch = { index: 0, request: 'aborted', outcomes: [ok(opened, firstOf(opened))] };
        await assert.rejects(opened.sink.write(batch, call));
        assert.equal(await opened.sink.ledger.stored('aborted', 0), undefined);
        assert.deepEqual((await current(opened, [firstOf(opened)])).map(kindOf), ['pending']);
      },
    },
  ];
}
