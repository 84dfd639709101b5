import { describe, expect, it } from 'vitest';
import { readBatchSizes } from '../../../src/cli/input/batchSizes.ts';
import { readWorkOptions } from '../../../src/cli/worker/workOptions.ts';
import { requestDefaults } from '../../../src/model/requests/requestDefaults.ts';

const variables = { MARKET_DATA_BATCH_SIZE: '7', MARKET_INDEX_BATCH_SIZE: '10000', HISTORICAL_BATCH_SIZE: '1' };

// Issue 10, 21.
describe('the sizes of batches', () => {
  it('are those of the library by default', () => {
    const sizes = Object.entries(requestDefaults).map(([pipeline, { batchSize }]) => [pipeline, batchSize]);
    expect(readBatchSizes('run', undefined, {})).toEqual(Object.fromEntries(sizes));
  });

  it('come from a variable for each pipeline, or from the option for all', () => {
    const read = { 'market-data': 7, 'market-index-data': 10_000, 'historical-market-data': 1 };
    expect(readBatchSizes('run', undefined, variables)).toEqual(read);
    expect(new Set(Object.values(readBatchSizes('run', '25', variables)))).toEqual(new Set([25]));
  });

  it('are those of a worker', () => {
    const environment = { KAFKA_BROKER: 'kafka:9092', ...variables };
    const options = { provider: 'recorded', database: 'memory' };
    const sizes = (more: object) =>
      readWorkOptions({ environment, options: { ...options, ...more } }).pipelines.map(({ batchSize }) => batchSize);
    expect(sizes({})).toEqual([7, 10_000, 1]);
    expect(sizes({ 'batch-size': '25' })).toEqual([25, 25, 25]);
  });

  it.each(['0', '10001', '-1', '1.5', 'many', '1e3'])('are no %s', (text) => {
    expect(() => readBatchSizes('plan', text, {})).toThrow(
      'plan: --batch-size: expected a whole number from 1 to 10000, got ',
    );
    for (const name of Object.keys(variables)) {
      expect(() => readBatchSizes('plan', undefined, { [name]: text })).toThrow(
        `${name} must be a whole number from 1 to 10000, but is `,
      );
    }
  });
});
