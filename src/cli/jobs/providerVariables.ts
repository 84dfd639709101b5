import { z } from 'zod';
import { hostToBaseUrl, OptionsError, type CreditQuota } from '../../index.ts';
import { readVariables, requiredText, wholeNumber, wholeNumberOrNone, type Environment } from '../input/environment.ts';

const offline = 'or use --provider recorded or --provider simulated, which need no key';

const key = (name: string): z.ZodString =>
  requiredText(`set it to your ${name} API key, ${offline}`).regex(/^[\x21-\x7E]+$/, {
    error: 'must be visible ASCII characters without blanks: its value is not shown',
  });

/** A bound that no plan reaches, and that a column of PostgreSQL can count. */
const most = 1_000_000_000;

const twelveDataVariables = z.object({
  TWELVE_DATA_API_KEY: key('Twelve Data'),
  TWELVE_DATA_API_HOST: z.string().default('api.twelvedata.com'),
  TWELVE_DATA_API_QUOTE: z.string().default('/quote'),
  TWELVE_DATA_API_TIMESERIES: z.string().default('/time_series'),
  TWELVE_DATA_CREDITS_PER_MINUTE: wholeNumber({ min: 1, max: most, byDefault: 8 }),
  TWELVE_DATA_CREDITS_PER_DAY: wholeNumberOrNone({ min: 1, max: most, byDefault: 800 }),
  TWELVE_DATA_WINDOW_MS: wholeNumber({ min: 1, max: 86_400_000, byDefault: 60_000 }),
});

const rapidApiVariables = z.object({
  RAPIDAPI_KEY: key('RapidAPI'),
  RAPIDAPI_HOST: requiredText(`set it to the host of the API you subscribed to at RapidAPI, ${offline}`),
  RAPIDAPI_MARKET_GET_QUOTES: z.string().default('/market/v2/get-quotes'),
  RAPIDAPI_REQUESTS_PER_SECOND: wholeNumber({ min: 1, max: most, byDefault: 5 }),
  RAPIDAPI_REQUESTS_PER_MONTH: wholeNumberOrNone({ min: 1, max: most, byDefault: 500 }),
});

const massiveVariables = z.object({
  MASSIVE_API_KEY: key('Massive'),
  MASSIVE_API_HOST: z.string().default('api.massive.com'),
  MASSIVE_CALLS_PER_MINUTE: wholeNumber({ min: 1, max: most, byDefault: 5 }),
  MASSIVE_HISTORY_MONTHS: wholeNumberOrNone({ min: 1, max: 1_200, byDefault: 'none' }),
});

const frankfurterVariables = z.object({ FRANKFURTER_API_HOST: z.string().default('api.frankfurter.dev') });

/** Where an API is, and the key for it. */
interface Connection {
  readonly apiKey: string;
  readonly baseUrl: string;
}

interface WindowPlan {
  /** The credits of a window. */
  readonly credits: number;
  readonly windowMs: number;
}

export interface TwelveDataPlan extends Connection, WindowPlan {
  readonly quotePath: string;
  readonly seriesPath: string;
  readonly quota: CreditQuota;
}

export function readTwelveData(environment: Environment): TwelveDataPlan {
  const variables = readVariables(twelveDataVariables, environment);
  return {
    apiKey: variables.TWELVE_DATA_API_KEY,
    baseUrl: baseUrlOf('TWELVE_DATA_API_HOST', variables.TWELVE_DATA_API_HOST),
    quotePath: variables.TWELVE_DATA_API_QUOTE,
    seriesPath: variables.TWELVE_DATA_API_TIMESERIES,
    credits: variables.TWELVE_DATA_CREDITS_PER_MINUTE,
    windowMs: variables.TWELVE_DATA_WINDOW_MS,
    quota: { credits: variables.TWELVE_DATA_CREDITS_PER_DAY, period: 'day' },
  };
}

export interface RapidApiPlan extends Connection {
  readonly path: string;
  readonly callsPerSecond: number;
  readonly quota: CreditQuota;
}

export function readRapidApi(environment: Environment): RapidApiPlan {
  const variables = readVariables(rapidApiVariables, environment);
  return {
    apiKey: variables.RAPIDAPI_KEY,
    baseUrl: baseUrlOf('RAPIDAPI_HOST', variables.RAPIDAPI_HOST),
    path: variables.RAPIDAPI_MARKET_GET_QUOTES,
    callsPerSecond: variables.RAPIDAPI_REQUESTS_PER_SECOND,
    quota: { credits: variables.RAPIDAPI_REQUESTS_PER_MONTH, period: 'month' },
  };
}

export interface MassivePlan extends Connection, WindowPlan {
  readonly historyMonths: number | undefined;
}

export function readMassive(environment: Environment): MassivePlan {
  const { MASSIVE_HISTORY_MONTHS: months, ...variables } = readVariables(massiveVariables, environment);
  return {
    apiKey: variables.MASSIVE_API_KEY,
    baseUrl: baseUrlOf('MASSIVE_API_HOST', variables.MASSIVE_API_HOST),
    credits: variables.MASSIVE_CALLS_PER_MINUTE,
    windowMs: 60_000,
    historyMonths: months === Infinity ? undefined : months,
  };
}

export function readFrankfurter(environment: Environment): Pick<Connection, 'baseUrl'> {
  const { FRANKFURTER_API_HOST: host } = readVariables(frankfurterVariables, environment);
  return { baseUrl: baseUrlOf('FRANKFURTER_API_HOST', host) };
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
