import { z } from 'zod';
import type { PipelineName } from '../../index.ts';
import { readVariables, wholeNumber, type Environment } from './environment.ts';
import { readWholeNumber } from './parseArguments.ts';

/** As in the library. */
const range = { min: 1, max: 10_000 };

const variables = z.object({
  MARKET_DATA_BATCH_SIZE: wholeNumber({ ...range, byDefault: 100 }),
  MARKET_INDEX_BATCH_SIZE: wholeNumber({ ...range, byDefault: 100 }),
  HISTORICAL_BATCH_SIZE: wholeNumber({ ...range, byDefault: 50 }),
});

/**
 * How many symbols of a request are one batch, by pipeline: of `--batch-size` for all of them, else of a variable for each. For
 * new requests: one that the ledger knows keeps the size it was accepted with.
 */
export function readBatchSizes(
  command: string,
  option: string | undefined,
  environment: Environment,
): Readonly<Record<PipelineName, number>> {
  if (option !== undefined) {
    const size = readWholeNumber(command, '--batch-size', option, range);
    return { 'market-data': size, 'market-index-data': size, 'historical-market-data': size };
  }
  const read = readVariables(variables, environment);
  return {
    'market-data': read.MARKET_DATA_BATCH_SIZE,
    'market-index-data': read.MARKET_INDEX_BATCH_SIZE,
    'historical-market-data': read.HISTORICAL_BATCH_SIZE,
  };
}
