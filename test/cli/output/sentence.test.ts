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
});
