export * from './memoryBroker.ts';
export * from './memoryBus.ts';
export * from './memoryLedger.ts';
export * from './memorySink.ts';
