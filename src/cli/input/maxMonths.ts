import { z } from 'zod';
import { readVariables, wholeNumber, type Environment } from './environment.ts';
import { readWholeNumber } from './parseArguments.ts';

/** The default is that of the library. */
const range = { min: 1, max: 1_000_000_000, byDefault: 3_000_000 };

const variables = z.object({ HISTORICAL_MAX_MONTHS: wholeNumber(range) });

/** Most months of all symbols of a historical request together: of `--max-months`, else of the variable. */
export function readMaxMonths(command: string, option: string | undefined, environment: Environment): number {
  if (option === undefined) return readVariables(variables, environment).HISTORICAL_MAX_MONTHS;
  return readWholeNumber(command, '--max-months', option, range);
}
