import { z } from 'zod';
import type { Decimal, IndexQuote, MarketIndex } from '../records.ts';
import type { MarketIndexDataRequest } from '../requests/marketIndexDataRequest.ts';
import type { Summary } from '../summary.ts';
import { completionFields, decimalSchema, type CompletionFields } from './completion.ts';
import { completionOf, servedValues, totalOf, type Answered } from './completionOf.ts';

/** An index that was written or confirmed fresh. */
export interface MarketIndexEntry {
  readonly symbol: string;
  readonly price?: Decimal | undefined;
  readonly price_change?: Decimal | undefined;
  readonly percent_change?: Decimal | undefined;
  readonly price_high?: Decimal | undefined;
  readonly price_low?: Decimal | undefined;
}

/** The answer to an index request, on MARKET_INDEX_DATA_UPDATE_COMPLETE. */
export interface MarketIndexDataCompleted extends CompletionFields {
  /** All indexes asked for, each counted once. */
  readonly totalSymbols: number;
  /** Missing when `status` is `failed`. */
  readonly symbols?: readonly MarketIndexEntry[] | undefined;
}

/** The schema of `MarketIndexDataCompleted`. */
export const marketIndexDataCompletedSchema = z.object({
  ...completionFields,
  totalSymbols: z.int().min(0),
  symbols: z
    .array(
      z.object({
        symbol: z.string(),
        price: decimalSchema.optional(),
        price_change: decimalSchema.optional(),
        percent_change: decimalSchema.optional(),
        price_high: decimalSchema.optional(),
        price_low: decimalSchema.optional(),
      }),
    )
    .optional(),
}) satisfies z.ZodType<MarketIndexDataCompleted>;

/** Makes the completion event of an index request from the summary of its run. */
export function marketIndexDataCompleted(
  summary: Summary<MarketIndex, IndexQuote>,
  answered: Answered<MarketIndexDataRequest>,
): MarketIndexDataCompleted {
  const fields = completionOf(summary, answered);
  return {
    ...fields,
    totalSymbols: totalOf(summary, answered.request),
    ...(fields.status === 'failed' ? {} : { symbols: servedValues(summary.outcomes).map(entryOf) }),
  };
}

function entryOf({ symbol, price, priceChange, percentChange, priceHigh, priceLow }: IndexQuote): MarketIndexEntry {
  return {
    symbol,
    price,
    price_change: priceChange,
    percent_change: percentChange,
    price_high: priceHigh,
    price_low: priceLow,
  };
}
