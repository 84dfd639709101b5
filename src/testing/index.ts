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
