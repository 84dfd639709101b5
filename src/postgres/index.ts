export { connectDatabase } from './connectDatabase.ts';
export type { ConnectDatabaseOptions, Database } from './connectDatabase.ts';
export type { ServerName } from './connectionUrl.ts';
