// The connection, and a server for tests and demos.
export { connectDatabase, type ConnectDatabaseOptions, type Database } from './connectDatabase.ts';
export type { ServerName } from './connectionUrl.ts';
export { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './startEmbeddedPostgres.ts';

// Tables: ours are migrated, the price tables are checked.
export { checkTables, type CheckTablesOptions, type PriceTable } from './checkTables.ts';
export { createReferenceTables, type CreateReferenceTablesOptions } from './createReferenceTables.ts';
export { migrate, type MigrateOptions, type MigrationResult } from './migrate.ts';
export { tableShape, type ColumnShape, type TableShape, type TableShapeOptions } from './tableShape.ts';

// Sinks and their ledger.
export { marketDataSink, type MarketDataSinkOptions } from './sinks/marketDataSink.ts';
export { marketIndexSink, type MarketIndexSinkOptions } from './sinks/marketIndexSink.ts';
export { monthlyPriceSink, type MonthlyPriceSinkOptions } from './sinks/monthlyPriceSink.ts';
export type { TableSink } from './sinks/tableSink.ts';
export { patientSink, type PatientSink, type PatientSinkOptions } from './patientSink.ts';
export { postgresLedger, type PostgresLedgerOptions } from './ledger/postgresLedger.ts';
export type { LedgerCodec } from './ledger/outcomeCodec.ts';
export { removeExpired, type RemoveExpiredOptions } from './ledger/removeExpired.ts';
export {
  requestDetails,
  type BatchState,
  type RequestDetails,
  type RequestDetailsOptions,
  type Shortfall,
} from './ledger/requestDetails.ts';
export { requestStates, type RequestState, type RequestStatesOptions } from './ledger/requestStates.ts';

// Quotas that several processes share, for `creditLimiter`.
export { postgresKeyRefusals, type PostgresKeyRefusalsOptions } from './limits/postgresKeyRefusals.ts';
export { postgresQuotaStore, type PostgresQuotaStoreOptions } from './limits/postgresQuotaStore.ts';
export { postgresWindow, type PostgresWindowOptions } from './limits/postgresWindow.ts';

// Sources.
export { fromTable, type FromTableItemOptions, type FromTableOptions, type TableRow } from './fromTable.ts';

// Statements: the tag, and what fits into it, of the copy of @databases/pg that `Database.pool` is of.
export { sql, type SQLQuery, type Transaction } from '@databases/pg';

// For a sink of your own.
export { databaseError, type NamedDatabase } from './errors.ts';
export { inTransaction, withRetry, type RetryOptions, type TransactionOptions } from './inTransaction.ts';
