/**
 * One step of our own schema. Once released it never changes: a correction is the next number.
 */
export interface Migration {
  /** Its place: 1 for `0001-*.ts`, without gaps. */
  readonly number: number;
  /** The rest of its file name, such as 'ledger'. */
  readonly name: string;
  /**
   * Statements separated by semicolons, run in one transaction with our schema as the search path: its tables are named
   * without their schema.
   */
  readonly sql: string;
}
