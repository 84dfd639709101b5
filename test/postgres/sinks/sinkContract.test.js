import { describe, it } from 'vitest';
import { marketDataSink } from "../../../src/postgres/sinks/marketDataSink.js";
import { marketIndexSink } from "../../../src/postgres/sinks/marketIndexSink.js";
import { monthlyPriceSink } from "../../../src/postgres/sinks/monthlyPriceSink.js";
import { sinkContract } from "../../../src/testing/sinkContract.js";
import { openTestDatabase, shapes } from "../../support/postgres.js";
import { track } from "../../support/track.js";
import { asset, index, indexQuote, months, quote, range } from "./samples.js";
const symbols = ['A', 'BRK.B', 'EUR/USD', '"NULL"\\'];
async function openMarketData(shape) {
    const database = track(await openTestDatabase({ shape, migrated: true }));
    return {
        sink: marketDataSink({ database }),
        inputs: symbols.map((symbol) => asset(symbol)),
        valueOf: (input, version) => quote(input, `${version}.5`),
        badValueOf: (input) => quote(input, 'NaN'),
        refused: asset('ELEVENCHARS'),
        [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
}
async function openMarketIndex(shape) {
    const database = track(await openTestDatabase({ shape, migrated: true }));
    return {
        sink: marketIndexSink({ database }),
        inputs: symbols.map((symbol) => index(symbol)),
        valueOf: (input, version) => indexQuote(input, `${version}.5`),
        badValueOf: (input) => indexQuote(input, '-1'),
        refused: index('ELEVENCHARS'),
        [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
}
async function openMonthly(shape) {
    const database = track(await openTestDatabase({ shape, migrated: true }));
    return {
        sink: monthlyPriceSink({ database }),
        inputs: symbols.map((symbol) => range(symbol, '2024-01-31', '2024-02-29')),
        valueOf: (input, version) => months(input, { '2024-01-31': `${version}`, '2024-02-29': `${version}.25` }),
        badValueOf: (input) => months(input, { '2024-01-31': '1', '2024-02-29': '1e30' }),
        refused: range('BAD', '2024-02-30', '2024-03-31'),
        [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
}
describe.each(shapes)('on shape %s', (shape) => {
    describe('marketDataSink', () => {
        for (const { name, run } of sinkContract(() => openMarketData(shape)))
            it(name, run);
    });
    describe('marketIndexSink', () => {
        for (const { name, run } of sinkContract(() => openMarketIndex(shape)))
            it(name, run);
    });
    describe('monthlyPriceSink', () => {
        for (const { name, run } of sinkContract(() => openMonthly(shape)))
            it(name, run);
    });
});
