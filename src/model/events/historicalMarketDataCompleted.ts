import { z } from 'zod';
import type { DateText, MonthlyPrices, MonthlyRange } from '../records.ts';
import type { HistoricalMarketDataRequest } from '../requests/historicalMarketDataRequest.ts';
import type { Summary } from '../summary.ts';
import { assetEntryFields, completionFields, type AssetEntry, type CompletionFields } from './completion.ts';
import { completionOf, servedValues, totalOf, type Answered } from './completionOf.ts';

/** The answer to a historical request, on HISTORICAL_MARKET_DATA_COMPLETE. */
export interface HistoricalMarketDataCompleted extends CompletionFields {
  /** All assets asked for, each counted once. */
  readonly totalAssets: number;
  /** The symbols of `assets`. Missing when `status` is `failed`. */
  readonly symbols?: readonly string[] | undefined;
  /** The type of the assets, when all have the same. */
  readonly asset_type?: string | undefined;
  /** What was written or confirmed stored. Missing when `status` is `failed`. */
  readonly assets?: readonly AssetEntry[] | undefined;
  /** Missing when the request could not be read. */
  readonly start_date?: DateText | undefined;
  /** Cut to the day of the request when it asked beyond it. Missing when the request could not be read. */
  readonly end_date?: DateText | undefined;
  /** The months of these assets that this request stored or found stored. */
  readonly record_count: number;
}

/** The schema of `HistoricalMarketDataCompleted`. */
export const historicalMarketDataCompletedSchema = z.object({
  ...completionFields,
  totalAssets: z.int().min(0),
  symbols: z.array(z.string()).optional(),
  asset_type: z.string().optional(),
  assets: z.array(z.object(assetEntryFields)).optional(),
  start_date: z.iso.date().optional(),
  end_date: z.iso.date().optional(),
  record_count: z.int().min(0),
}) satisfies z.ZodType<HistoricalMarketDataCompleted>;

/** Makes the completion event of a historical request from the summary of its run. */
export function historicalMarketDataCompleted(
  summary: Summary<MonthlyRange, MonthlyPrices>,
  answered: Answered<HistoricalMarketDataRequest>,
): HistoricalMarketDataCompleted {
  const { request } = answered;
  const fields = completionOf(summary, answered);
  const served = servedValues(summary.outcomes);
  const types = new Set(request.inputs.map(({ assetType }) => assetType));
  return {
    ...fields,
    totalAssets: totalOf(summary, request),
    ...(types.size === 1 ? { asset_type: [...types][0] } : {}),
    ...(fields.status === 'failed' ? {} : { symbols: served.map(({ symbol }) => symbol), assets: served.map(entryOf) }),
    start_date: request.startDate,
    end_date: request.endDate,
    record_count: served.reduce((sum, { recordCount }) => sum + recordCount, 0),
  };
}

function entryOf({ symbol, assetType }: MonthlyPrices): AssetEntry {
  return { symbol, asset_type: assetType, assetType };
}
