export * from './batch.ts';
export * from './planBatch.ts';
export * from './publishCompletion.ts';
export * from './reportProgress.ts';
export * from './summarize.ts';
export * from './throttledFetch.ts';
export * from './writeTo.ts';
