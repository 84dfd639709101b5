import { isUnknown, monthsFrom, priceOf } from './prices.ts';

/** The three request topics, and where each is answered. */
export const topics = {
  market: {
    request: 'MARKET_DATA_UPDATE_REQUEST',
    completion: 'MARKET_DATA_UPDATE_COMPLETE',
    work: 'MARKET_DATA_UPDATE_WORK',
    progress: 'MARKET_DATA_UPDATE_PROGRESS',
  },
  index: {
    request: 'MARKET_INDEX_DATA_UPDATE_REQUEST',
    completion: 'MARKET_INDEX_DATA_UPDATE_COMPLETE',
    work: 'MARKET_INDEX_DATA_UPDATE_WORK',
    progress: 'MARKET_INDEX_DATA_UPDATE_PROGRESS',
  },
  historical: {
    request: 'HISTORICAL_MARKET_DATA_REQUEST',
    completion: 'HISTORICAL_MARKET_DATA_COMPLETE',
    work: 'HISTORICAL_MARKET_DATA_WORK',
    progress: 'HISTORICAL_MARKET_DATA_PROGRESS',
  },
} as const;

export type Lane = keyof typeof topics;

export const lanes = Object.keys(topics) as Lane[];

/** A request as a client makes it, and what its answer has to be. */
export interface PlannedRequest {
  readonly lane: Lane;
  readonly value: Buffer | null;
  /** Whether it is no request at all, and belongs to the dead letters. */
  readonly isMalformed: boolean;
  /** No other request names any of them. */
  readonly symbols: readonly string[];
  /** Symbols of one batch. */
  readonly batchSize: number;
  /** Of historical requests: the first days of the months. */
  readonly months: readonly string[];
}

const batchSizes: Record<Lane, number> = { market: 100, index: 100, historical: 50 };

/** A request for so many symbols that are its own: number and lane make them so. */
export function requestFor(lane: Lane, number: number, count: number): PlannedRequest {
  const prefix = `${lane[0]!}${number.toString(36)}.`;
  const symbols = Array.from({ length: count }, (_, index) => `${prefix}${index.toString(36)}`.toUpperCase());
  const common = { lane, isMalformed: false, symbols, batchSize: batchSizes[lane], months: [] };
  if (lane === 'market') return { ...common, value: json({ symbols, assetType: 'STOCK', requestId: `r${number}` }) };
  if (lane === 'index') return { ...common, value: json({ symbols }) };
  const [start, end] = ['2025-01-31', '2025-03-31'];
  const assets = symbols.map((symbol) => ({ symbol, asset_type: 'STOCK' }));
  return {
    ...common,
    months: monthsFrom(start, end),
    value: json({ assets, start_date: start, end_date: end }),
  };
}

const malformed: readonly (Buffer | null)[] = [
  Buffer.from('not JSON'),
  json([]),
  json({}),
  json({ assets: 'AAPL', symbols: 7 }),
  Buffer.from([0xff, 0xfe, 0x80]),
  null,
];

/** Something on the topic of the lane that is no request. */
export function malformedFor(lane: Lane, number: number): PlannedRequest {
  const value = malformed[number % malformed.length] ?? null;
  return { lane, value, isMalformed: true, symbols: [], batchSize: 1, months: [] };
}

/** Whatever comes by chance: mostly small, some of many batches, some large enough to be shared, some malformed. */
export function anyRequest(number: number, random: () => number): PlannedRequest {
  const lane = lanes[Math.floor(random() * lanes.length)]!;
  const kind = random();
  if (kind < 0.1) return malformedFor(lane, number);
  if (kind < 0.7) return requestFor(lane, number, 1 + Math.floor(random() * 5));
  if (kind < 0.92) return requestFor(lane, number, batchSizes[lane] * (1 + Math.floor(random() * 4)) + 7);
  return requestFor(lane, number, batchSizes[lane] * (21 + Math.floor(random() * 4)) + 7);
}

export function batchesOf({ symbols, batchSize }: PlannedRequest): number {
  return Math.ceil(symbols.length / batchSize);
}

/** Whether its batches go to all workers, with the default of 20. */
export function isShared(request: PlannedRequest): boolean {
  return batchesOf(request) > 20;
}

/** The rows that the requests leave behind, as text, whatever happens on the way. */
export function rowsOf(requests: readonly PlannedRequest[]): Record<Lane, string[]> {
  const rows: Record<Lane, string[]> = { market: [], index: [], historical: [] };
  for (const { lane, symbols, months } of requests) {
    for (const symbol of symbols.filter((each) => !isUnknown(each))) {
      if (lane !== 'historical') rows[lane].push(`${symbol} ${priceOf(symbol)}`);
      for (const month of months) rows.historical.push(`${symbol} ${month} ${priceOf(symbol + month)}`);
    }
  }
  for (const lane of lanes) rows[lane].sort();
  return rows;
}

function json(body: unknown): Buffer {
  return Buffer.from(JSON.stringify(body));
}
