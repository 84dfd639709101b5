import { z } from 'zod';
import { OptionsError } from '../../index.ts';
import { databaseAddress } from './databaseAddress.ts';
import { readVariables, requiredText, wholeNumber, type Environment } from './environment.ts';

/** A PostgreSQL server as somebody named it. */
export interface ServerChoice {
  readonly kind: 'server';
  /** Holds the password. */
  readonly url: string;
  /** Where the URL comes from, for messages. */
  readonly source: string;
  /** The schema of the price tables. */
  readonly schema: string | undefined;
  /** The schema of the library's own tables. Default: the library's. */
  readonly ownSchema?: string | undefined;
  /** Default: the library's. */
  readonly preparedStatements?: boolean | undefined;
}

export type DatabaseChoice = ServerChoice | { readonly kind: 'memory' };

const parts = ['DATABASE_HOST', 'DATABASE_PORT', 'DATABASE_NAME', 'DATABASE_USER', 'DATABASE_PASSWORD'];

/** The database of `--database`, of DATABASE_URL or of DATABASE_HOST and its kin, in this order; undefined without any. */
export function chooseDatabase(option: string | undefined, environment: Environment): DatabaseChoice | undefined {
  if (option === 'memory') return { kind: 'memory' };
  const settings = { schema: environment['DATABASE_SCHEMA_NAME'], preparedStatements: readPrepared(environment) };
  if (option !== undefined) return { kind: 'server', url: checked(option), source: '--database', ...settings };
  const url = environment['DATABASE_URL'];
  if (url !== undefined) return { kind: 'server', url, source: 'DATABASE_URL', ...settings };
  if (!parts.some((part) => environment[part] !== undefined)) return undefined;
  return { kind: 'server', url: urlOfParts(environment), source: 'DATABASE_HOST', ...settings };
}

function readPrepared(environment: Environment): boolean | undefined {
  const text = environment['DATABASE_PREPARED_STATEMENTS']?.trim();
  if (text === undefined) return undefined;
  if (text === 'on' || text === 'off') return text === 'on';
  throw new OptionsError(`DATABASE_PREPARED_STATEMENTS must be on or off, but is ${JSON.stringify(text.slice(0, 40))}`);
}

/** What to do without any database. */
export const databaseAdvice =
  'set DATABASE_URL, or DATABASE_HOST, DATABASE_NAME, DATABASE_USER and DATABASE_PASSWORD, ' +
  'or give --database postgres://user:password@host:port/database';

function checked(option: string): string {
  if (option.includes('://')) return option;
  const seen = /^[a-z]{1,20}$/.test(option)
    ? `'${option}'`
    : 'a value that is not shown because it may hold a password';
  throw new OptionsError(
    `--database: expected postgres://user:password@host:port/database or one of the words in --help, got ${seen}`,
  );
}

const advice = 'DATABASE_HOST, DATABASE_NAME and DATABASE_USER are needed together, or DATABASE_URL instead';

const partsSchema = z.object({
  DATABASE_HOST: requiredText(advice),
  DATABASE_PORT: wholeNumber({ min: 1, max: 65_535, byDefault: 5432 }),
  DATABASE_NAME: requiredText(advice),
  DATABASE_USER: requiredText(advice),
  DATABASE_PASSWORD: z.string().default(''),
});

function urlOfParts(environment: Environment): string {
  const read = readVariables(partsSchema, environment);
  const login = [read.DATABASE_USER, read.DATABASE_PASSWORD].map(encodeURIComponent).join(':');
  const name = encodeURIComponent(read.DATABASE_NAME);
  const givenPort = environment['DATABASE_PORT'] === undefined ? undefined : read.DATABASE_PORT;
  return `postgres://${login}@${databaseAddress(read.DATABASE_HOST, givenPort)}/${name}`;
}
