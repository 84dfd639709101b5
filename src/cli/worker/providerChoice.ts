import { OptionsError, type PipelineName } from '../../index.ts';
import type { Environment } from '../input/environment.ts';
import { shown } from '../input/parseArguments.ts';
import type { ProviderName } from '../jobs/fetchers.ts';
import { jobs } from '../jobs/jobs.ts';

/** Which variable names the providers of a pipeline. */
export const providerVariables: Readonly<Record<PipelineName, string>> = {
  'market-data': 'MARKET_DATA_PROVIDER',
  'market-index-data': 'MARKET_INDEX_DATA_PROVIDER',
  'historical-market-data': 'HISTORICAL_MARKET_DATA_PROVIDER',
};

/** The highest lane first. */
const pipelineNames = Object.keys(providerVariables) as PipelineName[];

/** A pipeline that the worker serves, and whom it asks, in this order. */
export interface ServedPipeline {
  readonly pipeline: PipelineName;
  readonly providers: readonly ProviderName[];
}

/**
 * The pipelines and their providers: of `--provider` for all of them, else of a variable for each, else the default one. `none`
 * leaves a pipeline, and its topic, to other workers.
 */
export function chooseServed(option: string | undefined, environment: Environment): readonly ServedPipeline[] {
  const served = pipelineNames.flatMap((pipeline): ServedPipeline[] => {
    const variable = providerVariables[pipeline];
    const text = option ?? environment[variable] ?? jobs[pipeline].providers[0] ?? '';
    if (text.trim() === 'none') return [];
    return [{ pipeline, providers: readProviders(pipeline, option === undefined ? variable : '--provider', text) }];
  });
  if (served.length > 0) return served;
  throw new OptionsError('work: every pipeline has the provider none: there is nothing to do');
}

function readProviders(pipeline: PipelineName, source: string, text: string): readonly ProviderName[] {
  const known = jobs[pipeline].providers;
  const providers = text.split(',').map((word) => {
    const found = known.find((provider) => provider === word.trim());
    if (found !== undefined) return found;
    const seen = shown(word.trim());
    throw new OptionsError(
      `work: ${source}: expected some of ${known.join(', ')} for ${pipeline}, with commas between them, or none, got ${seen}`,
    );
  });
  if (new Set(providers).size === providers.length) return providers;
  throw new OptionsError(`work: ${source}: expected each provider once, got ${providers.join(',')}`);
}
