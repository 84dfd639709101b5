import { z } from 'zod';
import {
  creditLimiter,
  hostToBaseUrl,
  limited,
  OptionsError,
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
  type Fetcher,
  type IndexQuote,
  type MarketIndex,
  type MonthlyPrices,
  type MonthlyRange,
  type Quote,
} from '../../index.ts';
import { readVariables, requiredText, wholeNumber, type Environment } from '../input/environment.ts';

export type ProviderName = 'twelve-data' | 'yahoo-rapidapi' | 'recorded' | 'simulated';

/** How to make the fetcher of a provider from the environment; the default provider first. */
export type Fetchers<I, T> = Partial<Record<ProviderName, (environment: Environment) => Fetcher<I, T>>>;

/** A month series is a hundred times as long as a quote. */
const monthlyTimeoutMs = 30_000;

export const quoteFetchers: Fetchers<Asset, Quote> = {
  'twelve-data': (environment) => {
    const variables = readTwelveData(environment);
    const provider = twelveDataQuotes({ ...connectionOf(variables), path: variables.TWELVE_DATA_API_QUOTE });
    return limited(provider, twelveDataLimiter(variables));
  },
  recorded: () => limited(recordedQuotes(), unlimited()),
  simulated: () => limited(simulatedQuotes(), unlimited()),
};

export const monthlyFetchers: Fetchers<MonthlyRange, MonthlyPrices> = {
  'twelve-data': (environment) => {
    const variables = readTwelveData(environment);
    const provider = twelveDataMonthly({ ...connectionOf(variables), path: variables.TWELVE_DATA_API_TIMESERIES });
    return limited(provider, twelveDataLimiter(variables), { timeoutMs: monthlyTimeoutMs });
  },
  recorded: () => limited(recordedMonthly(), unlimited()),
  simulated: () => limited(simulatedMonthly(), unlimited()),
};

export const indexFetchers: Fetchers<MarketIndex, IndexQuote> = {
  'yahoo-rapidapi': (environment) => {
    const variables = readVariables(rapidApiVariables, environment);
    const { RAPIDAPI_HOST: host, RAPIDAPI_KEY: apiKey, RAPIDAPI_MARKET_GET_QUOTES: path } = variables;
    const baseUrl = baseUrlOf('RAPIDAPI_HOST', host);
    const provider = yahooRapidApiIndexes({ apiKey, host: new URL(baseUrl).host, baseUrl, path });
    return limited(provider, perSecondLimiter(variables.RAPIDAPI_REQUESTS_PER_SECOND));
  },
  recorded: () => limited(recordedIndexes(), unlimited()),
  simulated: () => limited(simulatedIndexes(), unlimited()),
};

const offline = 'or use --provider recorded or --provider simulated, which need no key';

const key = (name: string): z.ZodString =>
  requiredText(`set it to your ${name} API key, ${offline}`).regex(/^[\x21-\x7E]+$/, {
    error: 'must be visible ASCII characters without blanks: its value is not shown',
  });

const most = 1_000_000;

const twelveDataVariables = z.object({
  TWELVE_DATA_API_KEY: key('Twelve Data'),
  TWELVE_DATA_API_HOST: z.string().default('api.twelvedata.com'),
  TWELVE_DATA_API_QUOTE: z.string().default('/quote'),
  TWELVE_DATA_API_TIMESERIES: z.string().default('/time_series'),
  TWELVE_DATA_CREDITS_PER_MINUTE: wholeNumber({ min: 1, max: most, byDefault: 8 }),
  TWELVE_DATA_WINDOW_MS: wholeNumber({ min: 1, max: 86_400_000, byDefault: 60_000 }),
});

type TwelveDataVariables = z.output<typeof twelveDataVariables>;

const rapidApiVariables = z.object({
  RAPIDAPI_KEY: key('RapidAPI'),
  RAPIDAPI_HOST: requiredText(`set it to the host of the API you subscribed to at RapidAPI, ${offline}`),
  RAPIDAPI_MARKET_GET_QUOTES: z.string().default('/market/v2/get-quotes'),
  RAPIDAPI_REQUESTS_PER_SECOND: wholeNumber({ min: 1, max: most, byDefault: 5 }),
});

function readTwelveData(environment: Environment): TwelveDataVariables {
  return readVariables(twelveDataVariables, environment);
}

function connectionOf({ TWELVE_DATA_API_KEY: apiKey, TWELVE_DATA_API_HOST: host }: TwelveDataVariables): {
  readonly apiKey: string;
  readonly baseUrl: string;
} {
  return { apiKey, baseUrl: baseUrlOf('TWELVE_DATA_API_HOST', host) };
}

function baseUrlOf(variable: string, host: string): string {
  try {
    return hostToBaseUrl(host.trim());
  } catch (cause) {
    throw new OptionsError(
      `${variable} must be a host name or a http(s) URL without user, query and fragment: its value is not shown`,
      { cause },
    );
  }
}

function twelveDataLimiter(variables: TwelveDataVariables): CreditLimiter {
  const { TWELVE_DATA_CREDITS_PER_MINUTE: credits, TWELVE_DATA_WINDOW_MS: windowMs } = variables;
  return creditLimiter({ credits, windowMs });
}

/** A strict window of a second would be waited through most of the time: the calls are spaced out instead. */
function perSecondLimiter(callsPerSecond: number): CreditLimiter {
  return creditLimiter({ credits: Infinity, minTimeMs: spacingMs(callsPerSecond) });
}

/** The time between two calls; a quarter of head room is for calls that catch up with each other on their way. */
export function spacingMs(callsPerSecond: number): number {
  return Math.ceil(1250 / callsPerSecond);
}

/** Recorded and simulated providers have no quota. */
function unlimited(): CreditLimiter {
  return creditLimiter({ credits: Infinity });
}
