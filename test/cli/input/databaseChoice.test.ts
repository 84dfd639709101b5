import { describe, expect, it } from 'vitest';
import { chooseDatabase } from '../../../src/cli/input/databaseChoice.ts';

const option = 'postgres://option@host/db';
const variables = { DATABASE_HOST: 'host', DATABASE_NAME: 'db', DATABASE_USER: 'user' };

describe('chooseDatabase', () => {
  it('takes the option first, then DATABASE_URL, then the parts', () => {
    const environment = { ...variables, DATABASE_URL: 'postgres://url@host/db', DATABASE_SCHEMA_NAME: 'prices' };
    const { DATABASE_URL: _, ...parts } = environment;

    expect(chooseDatabase(option, environment)).toMatchObject({ url: option, source: '--database', schema: 'prices' });
    expect(chooseDatabase('memory', environment)).toEqual({ kind: 'memory' });
    expect(chooseDatabase(undefined, environment)).toMatchObject({
      url: 'postgres://url@host/db',
      source: 'DATABASE_URL',
      schema: 'prices',
    });
    expect(chooseDatabase(undefined, parts)).toMatchObject({
      url: 'postgres://user:@host:5432/db',
      source: 'DATABASE_HOST',
      schema: 'prices',
    });
    expect(chooseDatabase(undefined, { DATABASE_SCHEMA_NAME: 'prices' })).toBeUndefined();
  });

  // Issue 10, item 17.
  it('reads whether statements are prepared', () => {
    const read = (value?: string) => chooseDatabase(option, { DATABASE_PREPARED_STATEMENTS: value });
    expect(read('off')).toMatchObject({ preparedStatements: false });
    expect(read('on')).toMatchObject({ preparedStatements: true });
    expect(read()).toMatchObject({ preparedStatements: undefined });
    expect(() => read('no')).toThrow('DATABASE_PREPARED_STATEMENTS must be on or off, but is "no"');
  });

  it('encodes what the parts hold', () => {
    const odd = 'odd @:/?#%& text';
    const choice = chooseDatabase(undefined, {
      ...variables,
      DATABASE_PORT: '5433',
      DATABASE_NAME: odd,
      DATABASE_USER: odd,
      DATABASE_PASSWORD: odd,
    });

    const { username, password, pathname, host } = new URL(choice?.kind === 'server' ? choice.url : '');
    expect([username, password, pathname.slice(1)].map(decodeURIComponent)).toEqual([odd, odd, odd]);
    expect(host).toBe('host:5433');
  });
});
