/** A call that nobody aborts. */
export const call = { signal: new AbortController().signal, maxAgeMs: 45_000 };
export function asset(symbol, assetType = 'STOCK') {
    return { symbol, assetType };
}
export function quote(input, price, fields = {}) {
    return { ...input, price, change: '-0.5', percentChange: '-1.25', high: price, low: price, ...fields };
}
export function index(symbol) {
    return { symbol };
}
export function indexQuote(input, price, fields = {}) {
    return { ...input, price, priceChange: '-0.5', percentChange: '-1.25', priceHigh: price, priceLow: price, ...fields };
}
export function range(symbol, startDate, endDate) {
    return { ...asset(symbol), startDate, endDate };
}
export function months({ symbol, assetType }, prices) {
    const list = Object.entries(prices).map(([date, price]) => ({ date, price }));
    return { symbol, assetType, recordCount: list.length, prices: list };
}
export function ok(input, value, fields = {}) {
    return { status: 'ok', input, value, receivedAtMs: performance.now(), ...fields };
}
/** A batch of `ok` outcomes; with a request it goes through the ledger. */
export function batchOf(outcomes, request, number = 0) {
    return { index: number, request, outcomes };
}
