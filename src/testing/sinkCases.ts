import assert from 'node:assert/strict';
import { PipelineError } from '../model/errors.ts';
import type { Outcome } from '../model/outcome.ts';
import { ledgerCases } from './ledgerCases.ts';
import {
  collect,
  current,
  everyKind,
  failed,
  kindOf,
  minuteMs,
  ok,
  valueIn,
  write,
  type SinkCase,
} from './sinkCaseTools.ts';

/** The cases of `sinkContract`. */
export function sinkCases<I, T>(): readonly SinkCase<I, T>[] {
  return [
    {
      name: 'stores values, and answers them as fresh afterwards',
      check: async (opened) => {
        const { inputs } = opened;
        const result = await write(opened, { index: 0, outcomes: inputs.map((input) => ok(opened, input)) });
        assert.deepEqual(result.failed, []);
        assert.ok(result.inserted >= inputs.length, `inserted ${result.inserted} for ${inputs.length} inputs`);
        const standings = await current(opened, inputs);
        assert.deepEqual(
          standings.map(({ status, input }) => ({ status, input })),
          inputs.map((input) => ({ status: 'fresh', input })),
        );
      },
    },
    {
      name: 'knows nothing of what was never stored',
      check: async (opened) => {
        const standings = await current(opened, opened.inputs);
        assert.deepEqual(
          standings,
          opened.inputs.map((input) => ({ status: 'pending', input })),
        );
        assert.equal(await opened.sink.ledger.stored('never', 0), undefined);
        assert.deepEqual(await collect(opened.sink.ledger.batches('never')), []);
      },
    },
    {
      name: 'answers nothing to nothing, and takes a batch of nothing',
      check: async (opened) => {
        assert.deepEqual(await current(opened, []), []);
        const { failed, inserted } = await write(opened, { index: 0, request: 'empty', outcomes: [] });
        assert.deepEqual([failed.length, inserted], [0, 0]);
        assert.deepEqual((await opened.sink.ledger.stored('empty', 0))?.outcomes, []);
      },
    },
    {
      name: 'counts a new value of a known input as updated',
      check: async (opened) => {
        const [input] = opened.inputs;
        assert.ok(input !== undefined);
        const first = await write(opened, { index: 0, outcomes: [ok(opened, input)] });
        const second = await write(opened, { index: 1, outcomes: [ok(opened, input, 2)] });
        assert.deepEqual([first.updated, second.inserted], [0, 0]);
        assert.equal(second.updated, first.inserted);
      },
    },
    {
      name: 'takes the last of several values for one input',
      check: async (opened) => {
        const [input] = opened.inputs;
        assert.ok(input !== undefined);
        const outcomes = [ok(opened, input), ok(opened, input, 2)];
        const { inserted, updated, failed } = await write(opened, { index: 0, outcomes });
        const again = await write(opened, { index: 1, outcomes: [ok(opened, input, 2)] });
        assert.deepEqual([updated, failed, again.inserted], [0, [], 0]);
        assert.equal(again.updated + again.unchanged, inserted);
      },
    },
    {
      name: 'tells of a value that comes late what it holds then',
      check: async (opened) => {
        const [input] = opened.inputs;
        assert.ok(input !== undefined);
        await write(opened, { index: 0, outcomes: [ok(opened, input, 2)] });
        const late = { ...ok(opened, input), receivedAtMs: performance.now() - minuteMs / 2 };
        const { stored } = await write(opened, { index: 0, request: 'late', outcomes: [late] });
        const told = stored?.[0] ?? late;
        const [standing] = await current(opened, [input]);
        assert.deepEqual([told.status, standing?.status], ['ok', 'fresh']);
        assert.deepEqual(valueIn(told), valueIn(standing));
        assert.deepEqual(valueIn((await opened.sink.ledger.stored('late', 0))?.outcomes[0]), valueIn(standing));
      },
    },
    {
      name: 'keeps every kind of outcome in its ledger, in place',
      check: async (opened) => {
        const outcomes = everyKind(opened);
        const result = await write(opened, { index: 3, request: 'kinds', outcomes });
        const batch = await opened.sink.ledger.stored('kinds', 3);
        assert.ok(batch !== undefined);
        assert.deepEqual([batch.index, batch.request], [3, 'kinds']);
        // What was never tried is tried again when the request is.
        assert.deepEqual(batch.outcomes.map(kindOf), ['ok', 'fresh', 'fetch symbol_unknown', 'pending']);
        assert.deepEqual(
          batch.outcomes.map(({ input }) => input),
          outcomes.map(({ input }) => input),
        );
        assert.equal(batch.written?.inserted, result.inserted);
      },
    },
    {
      name: 'stores a batch of a request once, and then answers what is stored',
      check: async (opened) => {
        const outcomes = opened.inputs.map((input) => ok(opened, input));
        const first = await write(opened, { index: 0, request: 'once', outcomes });
        const later = opened.inputs.map((input) => failed<I>(input));
        const second = await write(opened, { index: 0, request: 'once', outcomes: later });
        assert.deepEqual(second.stored?.map(kindOf), outcomes.map(kindOf));
        assert.deepEqual([second.inserted, second.updated], [first.inserted, first.updated]);
      },
    },
    {
      name: 'writes the same batch once when two write it at the same time',
      check: async (opened) => {
        const outcomes = opened.inputs.map((input) => ok(opened, input));
        const batch = { index: 0, request: 'twice', outcomes };
        const results = await Promise.all([write(opened, batch), write(opened, batch)]);
        assert.deepEqual(results[0].inserted, results[1].inserted);
        assert.equal((await collect(opened.sink.ledger.batches('twice'))).length, 1);
      },
    },
    ...ledgerCases<I, T>(),
    ...refusalCases<I, T>(),
  ];
}

function refusalCases<I, T>(): SinkCase<I, T>[] {
  return [
    {
      name: 'fails a value that it cannot store, alone',
      check: async (opened) => {
        const [first, second, third] = opened.inputs;
        const bad = second === undefined ? undefined : opened.badValueOf?.(second);
        if (first === undefined || second === undefined || third === undefined || bad === undefined) return;
        const outcomes: Outcome<I, T>[] = [
          ok(opened, first),
          { status: 'ok', input: second, value: bad },
          ok(opened, third),
        ];
        const result = await write(opened, { index: 0, request: 'bad', outcomes });
        assert.deepEqual(
          result.failed.map(({ index }) => index),
          [1],
        );
        assert.ok(PipelineError.isInstance(result.failed[0]?.error));
        assert.deepEqual((await current(opened, [first, second, third])).map(kindOf), ['fresh', 'pending', 'fresh']);
        const batch = await opened.sink.ledger.stored('bad', 0);
        assert.deepEqual(
          batch?.outcomes.map(({ status }) => status),
          ['ok', 'failed', 'ok'],
        );
      },
    },
    {
      name: 'says which inputs it can never hold',
      check: async (opened) => {
        for (const input of opened.inputs) assert.equal(opened.sink.refuse?.(input), undefined);
        if (opened.refused !== undefined) assert.ok(PipelineError.isInstance(opened.sink.refuse?.(opened.refused)));
        await Promise.resolve();
      },
    },
  ];
}
