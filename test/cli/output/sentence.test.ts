import { describe, expect, it } from 'vitest';
import { redactor } from '../../../src/cli/output/redact.ts';
import { sentence } from '../../../src/cli/output/sentence.ts';
import { ProviderError } from '../../../src/index.ts';

describe('sentence', () => {
  it('is the message of an error of ours, on one line', () => {
    expect(sentence(new ProviderError('timeout', 'twelve-data: no answer\n  within 10000 ms '))).toBe(
      'twelve-data: no answer within 10000 ms',
    );
  });

  it.each([
    [new TypeError('x is not a function'), 'unexpected error: x is not a function'],
    [new Error(''), 'unexpected error: no message'],
    ['a string', 'unexpected error: a string'],
    [undefined, 'unexpected error: undefined'],
  ])('says that %o was not expected', (error, text) => {
    expect(sentence(error)).toBe(text);
  });
});

describe('redactor', () => {
  const redact = redactor(
    {
      TWELVE_DATA_API_KEY: 'key"with/signs',
      RAPIDAPI_KEY: 'short',
      KAFKA_SASL_PASSWORD: 'broker-password',
      DATABASE_URL: 'postgres://user:p%40ssword@host/db',
      DATABASE_USER: 'fintrack',
      DATABASE_PASSWORD: 'fintrack',
    },
    'postgres://me:other-one@host:5432/db',
  );

  it.each([
    ['key key"with/signs', 'key [hidden]'],
    ['?apikey=key%22with%2Fsigns&', '?apikey=[hidden]&'],
    ['{"message":"key\\"with/signs"}', '{"message":"[hidden]"}'],
    ['refused broker-password', 'refused [hidden]'],
    ['connect postgres://user:p%40ssword@host/db', 'connect [hidden]'],
    ['host postgres://x:other-one@elsewhere', 'host postgres://x[hidden]elsewhere'],
  ])('takes the secret out of %s', (text, safe) => {
    expect(redact(text)).toBe(safe);
  });

  it('leaves plain words alone, though they are somebody’s password', () => {
    expect(redact('run `fintrack-pipelines migrate`, in short')).toBe('run `fintrack-pipelines migrate`, in short');
  });

  it('changes nothing without secrets', () => {
    expect(redactor({}, 'memory')('keeping everything in memory')).toBe('keeping everything in memory');
  });

  // Issue 10, 20.
  describe.each(['hunter2', 'p@ss', 'Tr0ub4dor&3 "x"\\', 'ü/ß 99', '20261124', 'x'.repeat(8) + '1'])(
    'of %j',
    (secret) => {
      it.each(['DATABASE_PASSWORD', 'TWELVE_DATA_API_KEY', 'KAFKA_SASL_PASSWORD'])(
        'in %s takes it out, however encoded',
        (name) => {
          const forms = [
            secret,
            encodeURIComponent(secret),
            encodeURIComponent(secret).replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase()),
            new URLSearchParams([['', secret]]).toString().slice(1),
            JSON.stringify(secret).slice(1, -1),
            JSON.stringify(JSON.stringify(secret)).slice(3, -3),
            Array.from(secret, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join(''),
            Array.from(Buffer.from(secret), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
          ];
          const redactSecret = redactor({ [name]: secret }, undefined);
          for (const form of forms) {
            expect(redactSecret(`no ${form} here`)).toBe('no [hidden] here');
            expect(redactSecret(`{"message":"${form}"}`)).toBe('{"message":"[hidden]"}');
            expect(redactSecret(`?key=${form}&`)).toBe('?key=[hidden]&');
          }
        },
      );

      it('in DATABASE_URL takes it out by itself, too', () => {
        const url = `postgres://me:${encodeURIComponent(secret)}@host/db`;
        for (const given of [url, `"${url}"\n`]) {
          expect(redactor({ DATABASE_URL: given }, undefined)(`no ${secret} of ${url}`)).toBe(
            'no [hidden] of [hidden]',
          );
          expect(redactor({}, given)(`no ${secret} here`)).toBe('no [hidden] here');
        }
      });
    },
  );

  it.each(['postgres', 'data', 'short', '1', '42', '2026', 'a', 'market_data', 'fintrack'])(
    'takes the password %j out only where it is one',
    (password) => {
      const redactPassword = redactor(
        { DATABASE_PASSWORD: password, DATABASE_USER: password, RAPIDAPI_KEY: password },
        `postgres://${password}:${password}@postgres:2026/data`,
      );
      const ordinary =
        'PostgreSQL at postgres:2026, database "data": market_data has 42 rows, a price of 1.4201 at 2026-11-24, in short';
      expect(redactPassword(ordinary)).toBe(ordinary);
      expect(redactPassword(`refused the password of user "${password}"`)).toBe(
        `refused the password of user "${password}"`,
      );
      for (const before of ['password=', 'password: ', '"password":"', 'wrong key ', 'apikey=', 'Authorization: ']) {
        expect(redactPassword(`${before}${password}`)).toBe(`${before}[hidden]`);
      }
      expect(redactPassword(`x://y:${password}@z`)).not.toContain(`:${password}@`);
    },
  );
});
