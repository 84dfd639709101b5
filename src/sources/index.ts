export * from './fromCsv.ts';
