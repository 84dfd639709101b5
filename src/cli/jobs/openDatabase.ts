import { OptionsError, PipelineError } from '../../index.ts';
import { connectDatabase, type ConnectDatabaseOptions, type Database } from '../../postgres/index.ts';
import type { ServerChoice } from '../input/databaseChoice.ts';

/** Connects to the server chosen; what is wrong with the URL is said of where it came from. */
export function openDatabase(
  { url, source, schema, ownSchema, preparedStatements }: ServerChoice,
  settings: Pick<ConnectDatabaseOptions, 'poolSize'> = {},
): Database {
  try {
    return connectDatabase({ url, schema, ownSchema, preparedStatements, ...settings });
  } catch (error) {
    const { message } = PipelineError.from(error);
    const field = message.startsWith('connectDatabase: schema') ? 'DATABASE_SCHEMA_NAME' : source;
    throw new OptionsError(message.replace(/^connectDatabase: (url|schema)/, field), { cause: error });
  }
}
