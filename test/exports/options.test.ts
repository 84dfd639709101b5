// Issue 10, item 19: wrong options in JavaScript throw an `OptionsError` at once, everywhere.
import { describe, expect, it, vi } from 'vitest';
import {
  creditLimiter,
  limited,
  OptionsError,
  PipelineError,
  recordedQuotes,
  throttledFetch,
} from '../../src/index.ts';
import { connectDatabase, createReferenceTables } from '../../src/postgres/index.ts';
import { argumentsTable, entries, flowTable, optionsTable, withoutOptions, type OptionsRow } from './optionsTable.ts';
import { optionNames } from './recordedOptions.ts';

vi.mock(import('../../src/model/defineOptions.ts'), async (importOriginal) => {
  const { noting } = await import('./recordedOptions.ts');
  const actual = await importOriginal();
  return { ...actual, defineOptions: noting(actual.defineOptions) };
});

/** No option accepts it. */
const wrong = Symbol('wrong');

const rows = Object.values(optionsTable).flatMap((row) => Object.entries(row));

describe.each(rows)('%s', (name, { call, required }: OptionsRow) => {
  it('refuses what are no options', async () => {
    for (const value of [null, 42, 'text']) {
      expect(await refusal(() => call(value))).toMatch(new RegExp(`^${name}: options: expected object`));
    }
  });

  it('refuses to do without what is required, and names it', async () => {
    const names = Object.keys(required ?? {});
    if (names.length > 0) {
      expect(await refusal(() => call())).toMatch(`${name}: options: expected object, got nothing`);
      const message = await refusal(() => call({}));
      if (name === 'fromCsv') expect(message).toBe('fromCsv: expected either path or input');
      else if (name === 'fromTable') expect(message).toContain('fromTable: database: ');
      else for (const option of names) expect(message).toContain(`${option}: `);
    }
  });

  it('refuses an option that it does not have, and nothing else of what is right', async () => {
    expect(await refusal(() => call({ ...required, bogus: 1 }))).toBe(`${name}: unknown option 'bogus'`);
  });

  it('refuses a wrong value of each option, and names the option', async () => {
    const given = [...(optionNames.get(name) ?? [])].filter((option) => !(`${name}: ${option}` in argumentsTable));
    expect(given.length).toBeGreaterThan(0);
    for (const option of given) {
      expect(await refusal(() => call({ ...required, [option]: wrong })), option).toContain(`${option}: expected`);
    }
  });
});

it.each(Object.entries(argumentsTable))('%s: refuses a wrong argument', async (name, call) => {
  for (const value of [undefined, null, {}, 42]) {
    expect(await refusal(() => call(value))).toContain(`${name}: expected`);
  }
});

it.each(Object.entries(flowTable))('%s: refuses a wrong argument', (name, call) => {
  for (const value of [null, 4.2]) expect(() => call(value)).toThrow(`${name}: expected`);
});

it.each(Object.entries(entries))('every function that %s exports is in a table', (entry, exported) => {
  const functions = Object.entries(exported).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
  const listed = [...Object.keys(optionsTable[entry as keyof typeof entries]), ...withoutOptions];
  expect(functions.filter((name) => !listed.includes(name))).toEqual([]);
});

it('names the option in the cases that came from the field', async () => {
  expect(await refusal(() => connectDatabase({ url: '' }))).toMatch(/^connectDatabase: url: /);
  expect(await refusal(() => createReferenceTables({} as never))).toMatch(/^createReferenceTables: database: /);
  expect(await refusal(() => limited(recordedQuotes(), undefined as never))).toBe(
    'limited: limiter: expected a limiter, mostly creditLimiter({ credits }), got nothing',
  );
  expect(await refusal(() => throttledFetch({ fetcher: recordedQuotes() as never }))).toBe(
    'throttledFetch: fetcher: expected a fetcher, not a provider: wrap it with limited(provider, limiter), got an object',
  );
  const fetcher = limited(recordedQuotes(), creditLimiter({ credits: 8 }));
  expect(await refusal(() => limited(fetcher as never, creditLimiter({ credits: 8 })))).toBe(
    'limited: provider: expected a provider, got an object',
  );
});

/** The message of the `OptionsError` that the call throws, or rejects with. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call();
  } catch (error) {
    if (PipelineError.isInstance(error) && error instanceof OptionsError) return error.message;
    throw error;
  }
  throw new Error('expected an OptionsError');
}
