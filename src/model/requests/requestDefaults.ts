import type { PipelineName } from './request.ts';

/** How the requests of a pipeline are cut, and whose share of the credits they use. */
export const requestDefaults: Record<PipelineName, { readonly batchSize: number; readonly lane: string }> = {
  'market-data': { batchSize: 100, lane: 'market' },
  'market-index-data': { batchSize: 100, lane: 'index' },
  'historical-market-data': { batchSize: 50, lane: 'historical' },
};
