import { z } from 'zod';
import type { Asset, Decimal, Quote } from '../records.ts';
import type { MarketDataRequest } from '../requests/marketDataRequest.ts';
import type { Summary } from '../summary.ts';
import {
  assetEntryFields,
  completionFields,
  decimalSchema,
  type AssetEntry,
  type CompletionFields,
} from './completion.ts';
import { completionOf, servedValues, totalOf, type Answered } from './completionOf.ts';

/** An asset that was written or confirmed fresh. */
export interface MarketDataEntry extends AssetEntry {
  readonly price?: Decimal | undefined;
  readonly percentChange?: Decimal | undefined;
  readonly change?: Decimal | undefined;
  readonly high?: Decimal | undefined;
  readonly low?: Decimal | undefined;
}

/** The answer to a market data request, on MARKET_DATA_UPDATE_COMPLETE. */
export interface MarketDataCompleted extends CompletionFields {
  /** All assets asked for, each counted once. */
  readonly totalAssets: number;
  /** Missing when `status` is `failed`: with this key the backend would ignore the error. */
  readonly assets?: readonly MarketDataEntry[] | undefined;
}

/** The schema of `MarketDataCompleted`. */
export const marketDataCompletedSchema = z.object({
  ...completionFields,
  totalAssets: z.int().min(0),
  assets: z
    .array(
      z.object({
        ...assetEntryFields,
        price: decimalSchema.optional(),
        percentChange: decimalSchema.optional(),
        change: decimalSchema.optional(),
        high: decimalSchema.optional(),
        low: decimalSchema.optional(),
      }),
    )
    .optional(),
}) satisfies z.ZodType<MarketDataCompleted>;

/** Makes the completion event of a market data request from the summary of its run. */
export function marketDataCompleted(
  summary: Summary<Asset, Quote>,
  answered: Answered<MarketDataRequest>,
): MarketDataCompleted {
  const fields = completionOf(summary, answered);
  return {
    ...fields,
    totalAssets: totalOf(summary, answered.request),
    ...(fields.status === 'failed' ? {} : { assets: servedValues(summary.outcomes).map(entryOf) }),
  };
}

function entryOf({ symbol, assetType, price, percentChange, change, high, low }: Quote): MarketDataEntry {
  return { symbol, asset_type: assetType, assetType, price, percentChange, change, high, low };
}
