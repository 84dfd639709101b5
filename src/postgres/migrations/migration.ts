import type { SQLQuery } from '@databases/pg';

/** One step of our own schema. Once released it never changes: a correction is the next number. */
export interface Migration {
  /** Its place: 1 for `0001-*.ts`, without gaps. */
  readonly number: number;
  /** The rest of its file name, such as 'ledger'. */
  readonly name: string;
  /** Its statements, separated by semicolons; all migrations are run in one transaction. */
  readonly create: (ownSchema: string) => SQLQuery;
}
