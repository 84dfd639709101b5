// Contract cases: what every adapter has to keep, as data.
export {
  providerContract,
  type ContractCase,
  type ProviderContractOptions,
  type ProviderScenario,
  type ProviderUnderTest,
} from './providerContract.ts';
export { quotaStoreContract, type QuotaStoreUnderTest } from './quotaStoreContract.ts';
export { recordContract, type RecordsUnderTest } from './recordContract.ts';
export { sinkContract, type SinkUnderTest } from './sinkContract.ts';

// A modelled provider, the meter of its window, and a window that limiters share.
export { expectWindow, type Arrival, type ExpectedWindow } from './expectWindow.ts';
export { memoryWindow, type MemoryWindowOptions } from './memoryWindow.ts';
export { quotaServer, type QuotaServer, type QuotaServerOptions } from './quotaServer.ts';

// A simulator: workers in virtual time, over servers that fail.
export {
  findViolation,
  type EffectCounts,
  type FindViolationOptions,
  type FoundViolation,
  type SimulationSummary,
} from '../simulation/findViolation.ts';
export { simulate, type SimulateOptions, type SimulationReport } from '../simulation/simulate.ts';
export type { Fault, Scenario, SimulatedRequest, SimulatedServer } from '../simulation/Scenario.ts';
export type { DatabaseClient } from '../simulation/SimulatedDatabase.ts';
export { memoryStore, type OpenStore, type SimulatedStore } from '../simulation/memoryStore.ts';
export {
  simpleProvider,
  type AskProvider,
  type OpenProvider,
  type ProviderAnswer,
} from '../simulation/SimulatedProvider.ts';
export type { OpenPipeline, PipelineParts } from '../simulation/startWorker.ts';
