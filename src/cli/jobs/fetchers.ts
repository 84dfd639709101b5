import {
  firstOf,
  frankfurterMonthly,
  frankfurterQuotes,
  limited,
  massiveMonthly,
  recordedIndexes,
  recordedMonthly,
  recordedQuotes,
  simulatedIndexes,
  simulatedMonthly,
  simulatedQuotes,
  twelveDataMonthly,
  twelveDataQuotes,
  yahooRapidApiIndexes,
  type Asset,
  type CreditLimiter,
  type CreditLimiterOptions,
  type Fetcher,
  type IndexQuote,
  type LimitedOptions,
  type MarketIndex,
  type MonthlyPrices,
  type MonthlyRange,
  type Provider,
  type Quote,
} from '../../index.ts';
import { postgresKeyRefusals, type Database } from '../../postgres/index.ts';
import type { Environment } from '../input/environment.ts';
import { duration } from '../output/duration.ts';
import { proxiedFetch } from './proxiedFetch.ts';
import { politeLimiter, spacedLimiter, unlimited, windowLimiter, type WindowAllowance } from './limiters.ts';
import { readFrankfurter, readMassive, readRapidApi, readTwelveData } from './providerVariables.ts';
import type { SharedLimiters } from './SharedLimiters.ts';

export type ProviderName = 'twelve-data' | 'yahoo-rapidapi' | 'massive' | 'frankfurter' | 'recorded' | 'simulated';

/** A fetcher; disposing of it gives back what was booked of a day's credits and not used. */
export interface OpenFetcher<I, T> extends AsyncDisposable {
  readonly fetcher: Fetcher<I, T>;
}

/**
 * Makes a fetcher that counts its credits in the database, if there is one. Without `sharing` it has a limiter of its own,
 * which it takes along when it is disposed of.
 */
export type FetcherOpener<I, T> = (
  database: Database | undefined,
  sharing?: FetcherSharing,
  tell?: Tell,
) => OpenFetcher<I, T>;

/** Gets a line when a provider asks for a longer pause than its plan has reason for. */
export type Tell = (line: string) => void;

/** Makes the limiter of a provider's plan. */
type OpenLimiter = (
  database: Database | undefined,
  lanes?: readonly string[],
  onLongPause?: CreditLimiterOptions['onLongPause'],
) => CreditLimiter;

/** What the fetchers of a process that serves several pipelines have in common. */
export interface FetcherSharing {
  /** One limiter for each API key; whoever shares them stops them. */
  readonly limiters: SharedLimiters;
  /** How much a fetcher puts up with. */
  readonly patience: LimitedOptions;
}

/**
 * How to read the variables of a provider, which throws an `OptionsError` when one is missing, and then to make its fetcher;
 * the default provider first.
 */
export type Fetchers<I, T> = Partial<Record<ProviderName, (environment: Environment) => FetcherOpener<I, T>>>;

const timeoutMs = 10_000;
/** A month series is a hundred times as long as a quote. */
const monthlyTimeoutMs = 30_000;
/** How long a call may wait for the database that counts its credits. */
const databaseMs = 10_000;

export const quoteFetchers: Fetchers<Asset, Quote> = {
  'twelve-data': (environment) => {
    const { quotePath: path, ...plan } = readTwelveData(environment);
    const provider = twelveDataQuotes({
      apiKey: plan.apiKey,
      baseUrl: plan.baseUrl,
      path,
      fetch: proxiedFetch(environment),
    });
    return keyed(provider, plan, timeoutMs);
  },
  frankfurter: (environment) =>
    opener(frankfurterQuotes({ ...readFrankfurter(environment), fetch: proxiedFetch(environment) }), politeLimiter),
  recorded: () => opener(recordedQuotes(), unlimited),
  simulated: () => opener(simulatedQuotes(), unlimited),
};

export const monthlyFetchers: Fetchers<MonthlyRange, MonthlyPrices> = {
  'twelve-data': (environment) => {
    const { seriesPath: path, ...plan } = readTwelveData(environment);
    const provider = twelveDataMonthly({
      apiKey: plan.apiKey,
      baseUrl: plan.baseUrl,
      path,
      fetch: proxiedFetch(environment),
    });
    return keyed(provider, plan, monthlyTimeoutMs);
  },
  massive: (environment) => {
    const { historyMonths, ...plan } = readMassive(environment);
    const provider = massiveMonthly({
      apiKey: plan.apiKey,
      baseUrl: plan.baseUrl,
      historyMonths,
      fetch: proxiedFetch(environment),
    });
    return keyed(provider, plan, monthlyTimeoutMs);
  },
  frankfurter: (environment) => {
    const provider = frankfurterMonthly({ ...readFrankfurter(environment), fetch: proxiedFetch(environment) });
    return opener(provider, politeLimiter, { timeoutMs: monthlyTimeoutMs });
  },
  recorded: () => opener(recordedMonthly(), unlimited),
  simulated: () => opener(simulatedMonthly(), unlimited),
};

export const indexFetchers: Fetchers<MarketIndex, IndexQuote> = {
  'yahoo-rapidapi': (environment) => {
    const { apiKey, baseUrl, path, ...plan } = readRapidApi(environment);
    const provider = yahooRapidApiIndexes({
      apiKey,
      host: new URL(baseUrl).host,
      baseUrl,
      path,
      fetch: proxiedFetch(environment),
    });
    const allowance = { provider: provider.name, apiKey, ...plan };
    return opener(
      provider,
      (database, lanes, onLongPause) => spacedLimiter({ ...allowance, onLongPause }, database, lanes),
      { timeoutMs },
      apiKey,
    );
  },
  recorded: () => opener(recordedIndexes(), unlimited),
  simulated: () => opener(simulatedIndexes(), unlimited),
};

/** A provider whose plan is so many credits a window, on a key that other processes may use too. */
function keyed<I, T>(
  provider: Provider<I, T>,
  { apiKey, credits, windowMs, quota }: Pick<WindowAllowance, 'apiKey' | 'credits' | 'windowMs' | 'quota'>,
  callMs: number,
): FetcherOpener<I, T> {
  const openLimiter: OpenLimiter = (database, lanes = [], onLongPause) => {
    // A call also waits for the database, before it is sent. A limiter for several lanes has calls of both kinds.
    const callTimeoutMs = (lanes.length > 1 ? monthlyTimeoutMs : callMs) + databaseMs;
    const allowance = { provider: provider.name, apiKey, credits, windowMs, quota, callTimeoutMs, onLongPause };
    return windowLimiter(allowance, database, lanes);
  };
  return opener(provider, openLimiter, { timeoutMs: callMs }, apiKey);
}

function opener<I, T>(
  provider: Provider<I, T>,
  openLimiter: OpenLimiter,
  options: LimitedOptions = {},
  apiKey = '',
): FetcherOpener<I, T> {
  return (database, sharing, tell) => {
    const onLongPause = tell && longPauseTeller(provider.name, tell);
    const refusals =
      database !== undefined && apiKey !== ''
        ? postgresKeyRefusals({ database, provider: provider.name, apiKey })
        : undefined;
    const settings = { ...options, refusals };
    if (sharing !== undefined) {
      const account = { provider: provider.name, apiKey };
      const limiter = sharing.limiters.of(account, (lanes) => openLimiter(database, lanes, onLongPause));
      const fetcher = limited(provider, limiter, { ...settings, ...sharing.patience });
      return { fetcher, [Symbol.asyncDispose]: () => Promise.resolve() };
    }
    const limiter = openLimiter(database, [], onLongPause);
    return { fetcher: limited(provider, limiter, settings), [Symbol.asyncDispose]: () => limiter.stop() };
  };
}

function longPauseTeller(provider: string, tell: Tell): CreditLimiterOptions['onLongPause'] {
  return ({ askedMs, pauseMs }) => {
    const waits = `waiting for ${duration(pauseMs)}, a window of the plan`;
    tell(`${provider} asks for a pause of ${duration(askedMs)}: ${waits}`);
  };
}

/** Several fetchers as one: what the first cannot serve, the next is asked for. */
export function inTurn<I, T>(openers: readonly FetcherOpener<I, T>[]): FetcherOpener<I, T> {
  const [only] = openers;
  if (only !== undefined && openers.length === 1) return only;
  return (database, sharing, tell) => {
    const opened = openers.map((open) => open(database, sharing, tell));
    return {
      fetcher: firstOf(...opened.map(({ fetcher }) => fetcher)),
      [Symbol.asyncDispose]: async () => {
        await Promise.all(opened.map((each) => each[Symbol.asyncDispose]()));
      },
    };
  };
}
