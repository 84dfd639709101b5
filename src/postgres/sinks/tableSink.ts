import type { PipelineError } from '../../model/errors.ts';
import type { Ledger, Sink } from '../../model/ports.ts';
import type { Database } from '../connectDatabase.ts';
import { databaseError } from '../errors.ts';
import { batchRows } from '../ledger/batchRows.ts';
import { postgresLedger } from '../ledger/postgresLedger.ts';
import { batchWriter } from './batchWriter.ts';
import { refuseSymbol } from './checks.ts';
import { openShape } from './openShape.ts';
import type { OpenTable, SinkTable } from './sinkTable.ts';

/** A sink on a table of PostgreSQL: it has everything a sink can have. */
export type TableSink<I, T> = Required<Sink<I, T>> & { readonly ledger: Ledger<I, T> };

export interface TableSinkOptions<I, T> {
  readonly database: Database;
  readonly retentionDays: number;
  readonly table: SinkTable<I, T>;
  /** What a symbol may have before the table has been read. */
  readonly maxSymbolLength: number;
  readonly current: NonNullable<Sink<I, T>['current']>;
}

/** The sink of a price table. The table is read with the first write. */
export function tableSink<I extends { readonly symbol: string }, T>(options: TableSinkOptions<I, T>): TableSink<I, T> {
  const { database, retentionDays, table, current } = options;
  let maxSymbolLength = options.maxSymbolLength;
  let known: OpenTable<I, T> | undefined;

  const open = async (signal: AbortSignal, again = false): Promise<OpenTable<I, T>> => {
    if (known !== undefined && !again) return known;
    const shape = await openShape(database, table.name, table.columns, signal);
    maxSymbolLength = shape.column('symbol').maxLength ?? Number.POSITIVE_INFINITY;
    known = table.open(shape);
    return known;
  };
  const refuse = (input: I): PipelineError | undefined => refuseSymbol(table.name, input.symbol, maxSymbolLength);
  const rows = batchRows(database.ownSchema, table.codec);

  return {
    name: table.name,
    ledger: postgresLedger({ database, codec: table.codec, retentionDays }),
    refuse,
    current,
    probe: () => database.probe().catch((error: unknown) => Promise.reject(databaseError(error, database))),
    write: batchWriter({ database, table, rows, open, refuse }),
  };
}
