import { describe, expect, it } from 'vitest';
import { readWorkOptions } from '../../../src/cli/worker/workOptions.ts';

const keys = { TWELVE_DATA_API_KEY: 'key', RAPIDAPI_KEY: 'key', RAPIDAPI_HOST: 'api.example.com' };
const environment = { KAFKA_BROKER: 'kafka:9092', DATABASE_URL: 'postgres://me:secret@db/fintrack', ...keys };
const read = (options: Record<string, string>, more: Record<string, string> = {}) =>
  readWorkOptions({ options, environment: { ...environment, ...more } });
const providersOf = (...given: Parameters<typeof read>) =>
  read(...given).pipelines.map(({ pipeline, providers }) => [pipeline, ...providers]);

describe('the options of work', () => {
  it('have these defaults', () => {
    const { kafka, server, ...options } = read({});

    expect(options).toMatchObject({ host: '127.0.0.1', port: 9464, drainMs: 10_000, createTopics: true });
    expect(options).toMatchObject({ quarantineAfter: 2, quarantineStarts: 3 });
    const numbers = { 'quarantine-after': '1', 'quarantine-starts': '1000' };
    expect(read(numbers)).toMatchObject({ quarantineAfter: 1, quarantineStarts: 1_000 });
    expect(kafka).toMatchObject({ groupId: 'etl-job-consumer-group', connection: { brokers: ['kafka:9092'] } });
    expect(server).toMatchObject({ kind: 'server', source: 'DATABASE_URL' });
    expect(providersOf({})).toEqual([
      ['market-data', 'twelve-data'],
      ['market-index-data', 'yahoo-rapidapi'],
      ['historical-market-data', 'twelve-data'],
    ]);
  });

  it('take a list of providers for each pipeline from a variable, or for all from the option', () => {
    expect(
      providersOf(
        {},
        { MARKET_DATA_PROVIDER: 'twelve-data, frankfurter', HISTORICAL_MARKET_DATA_PROVIDER: 'recorded' },
      ),
    ).toEqual([
      ['market-data', 'twelve-data', 'frankfurter'],
      ['market-index-data', 'yahoo-rapidapi'],
      ['historical-market-data', 'recorded'],
    ]);
    expect(
      providersOf({ provider: 'recorded,simulated' }, { MARKET_DATA_PROVIDER: 'twelve-data' }).map(([, ...names]) =>
        names.join(),
      ),
    ).toEqual(['recorded,simulated', 'recorded,simulated', 'recorded,simulated']);
  });

  it('leave a pipeline without a provider to others, and need nothing of it', () => {
    expect(providersOf({}, { MARKET_INDEX_DATA_PROVIDER: 'none', RAPIDAPI_KEY: '' })).toHaveLength(2);
  });

  it('keep everything in memory when they are told to', () => {
    expect(read({ database: 'memory' }).server).toBeUndefined();
  });

  it.each<[Record<string, string>, Record<string, string>, string]>([
    [{ port: '65536' }, {}, "work: --port: expected a whole number from 0 to 65535, got '65536'"],
    [{ port: 'x' }, {}, "work: --port: expected a whole number from 0 to 65535, got 'x'"],
    [{ 'drain-ms': '1.5' }, {}, "work: --drain-ms: expected a whole number from 0 to 3600000, got '1.5'"],
    [{ 'quarantine-after': '0' }, {}, "work: --quarantine-after: expected a whole number from 1 to 1000, got '0'"],
    [
      { 'quarantine-starts': '1001' },
      {},
      "work: --quarantine-starts: expected a whole number from 1 to 1000, got '1001'",
    ],
    [{ host: 'a b' }, {}, 'work: --host: expected an address or a name of this machine, got that is not shown'],
    [{ provider: 'none' }, {}, 'work: every pipeline has the provider none: there is nothing to do'],
    [
      { provider: 'massive' },
      {},
      'work: --provider: expected some of twelve-data, frankfurter, recorded, simulated for market-data, with commas ' +
        "between them, or none, got 'massive'",
    ],
    [
      {},
      { HISTORICAL_MARKET_DATA_PROVIDER: 'massive,massive' },
      'work: HISTORICAL_MARKET_DATA_PROVIDER: expected each provider once, got massive,massive',
    ],
    [{}, { KAFKA_BROKER: '' }, 'KAFKA_BROKER is not set'],
    [{}, { TWELVE_DATA_API_KEY: '' }, 'TWELVE_DATA_API_KEY is not set'],
    [{}, { DATABASE_URL: '' }, 'work: no database is named: set DATABASE_URL'],
  ])('%o with %o are refused', (options, more, message) => {
    const present = Object.entries({ ...environment, ...more }).filter(([, value]) => value !== '');
    const reading = () => readWorkOptions({ options, environment: Object.fromEntries(present) });
    expect(reading).toThrow(message);
  });
});
