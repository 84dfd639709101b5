import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classifyFrankfurter } from '../../src/providers/frankfurter/classifyFrankfurter.ts';
import { classifyAnswer, type Refusal } from '../../src/providers/http/refusal.ts';
import { classifyMassive } from '../../src/providers/massive/classifyMassive.ts';
import { classifyTwelveData } from '../../src/providers/twelveData/classifyTwelveData.ts';
import { classifyYahooRapidApi } from '../../src/providers/yahooRapidApi/classifyYahooRapidApi.ts';
import { fixture } from './support/loopbackServer.ts';

type Classify = (status: number, headers: Headers, bodyText: string, nowMs: number) => Refusal | undefined;

/** 2026-11-24, 08:00:20 UTC. */
const nowMs = Date.UTC(2026, 10, 24, 8, 0, 20);

const throttled = { code: 'rate_limited', retryable: true };
const again = { code: 'provider_unavailable', retryable: true };
const cutOff = { code: 'response_malformed', retryable: true };
const noJson = { code: 'response_malformed', retryable: false };
const only = (code: Refusal['code']) => ({ code });
/** Something to read: a parser looks further. */
const serves = undefined;

/** What every recorded answer means. */
const providers: Record<string, { classify: Classify; answers: Record<string, object | undefined> }> = {
  'twelve-data': {
    classify: classifyTwelveData,
    answers: {
      'quote-one': serves,
      'quote-batch': serves,
      'months-one': serves,
      'months-batch': serves,
      'minute-credits-200': { ...throttled, retryAfterMs: 40_250 },
      'minute-credits-429': { ...throttled, retryAfterMs: 40_250 },
      'text-429': { ...throttled, retryAfterMs: 9000 },
      'day-credits-200': { code: 'quota_exhausted', retryAfterMs: 57_580_000 },
      'day-credits-429': { code: 'quota_exhausted', retryAfterMs: 57_580_000 },
      'quote-unknown': only('symbol_unknown'),
      'quote-unknown-400': only('symbol_unknown'),
      'not-in-plan-403': only('not_in_plan'),
      'not-in-plan-404': only('not_in_plan'),
      'unauthorized-200': only('unauthorized'),
      'unauthorized-401': only('unauthorized'),
      'forbidden-403': only('unauthorized'),
      'no-months-400': only('provider_rejected'),
      'too-long-414': only('provider_rejected'),
      'server-error-500': again,
      'bad-gateway-502': again,
      'unavailable-503': { ...again, retryAfterMs: 7000 },
      'html-200': noJson,
      'text-200': noJson,
      'empty-200': cutOff,
      'truncated-200': cutOff,
      'broken-200': serves,
    },
  },
  'yahoo-rapidapi': {
    classify: classifyYahooRapidApi,
    answers: {
      quotes: serves,
      'nothing-known': serves,
      'per-second-200': { ...throttled, retryAfterMs: 1000 },
      'per-second-429': { ...throttled, retryAfterMs: 1000 },
      'edge-429': { ...throttled, retryAfterMs: 60_000 },
      'monthly-200': { code: 'quota_exhausted', retryAfterMs: 2_163_603_000 },
      'monthly-429': { code: 'quota_exhausted', retryAfterMs: 2_163_603_000 },
      // Issue 10, item 6: the gateway has lost its session with Yahoo.
      'invalid-crumb-200': again,
      'invalid-crumb-401': again,
      'not-subscribed-200': only('unauthorized'),
      'not-subscribed-403': only('unauthorized'),
      'message-200': only('provider_rejected'),
      'not-found-404': only('provider_rejected'),
      'refused-200': serves,
      'bad-gateway-502': again,
      'unavailable-503': { ...again, retryAfterMs: 7000 },
      'html-200': noJson,
      'text-200': noJson,
      'empty-200': cutOff,
      'truncated-200': cutOff,
      'broken-200': serves,
    },
  },
  frankfurter: {
    classify: classifyFrankfurter,
    answers: {
      quotes: serves,
      days: serves,
      averages: serves,
      'nothing-known': serves,
      'too-many-200': throttled,
      'too-many-429': { ...throttled, retryAfterMs: 20_000 },
      'text-429': throttled,
      'unknown-base-422': only('symbol_unknown'),
      'unknown-quote-422': only('symbol_unknown'),
      'unknown-quote-200': only('symbol_unknown'),
      'unknown-unnamed-422': only('symbol_unknown'),
      'conflicting-422': only('provider_rejected'),
      'not-found-404': only('provider_rejected'),
      'message-200': only('provider_rejected'),
      'forbidden-403': again,
      'server-error-500': again,
      'bad-gateway-502': again,
      'unavailable-503': { ...again, retryAfterMs: 7000 },
      'html-200': noJson,
      'text-200': noJson,
      'empty-200': cutOff,
      'truncated-200': cutOff,
      'broken-200': serves,
    },
  },
  massive: {
    classify: classifyMassive,
    answers: {
      months: serves,
      delayed: serves,
      'nothing-known': serves,
      'no-results-200': serves,
      'other-ticker': serves,
      'too-many-200': throttled,
      'too-many-429': throttled,
      'text-429': { ...throttled, retryAfterMs: 9000 },
      'not-found-404': only('symbol_unknown'),
      'timeframe-403': only('not_in_plan'),
      'not-entitled-200': only('not_in_plan'),
      'not-entitled-403': only('not_in_plan'),
      'unknown-key-200': only('unauthorized'),
      'unknown-key-401': only('unauthorized'),
      'no-key-401': only('unauthorized'),
      'forbidden-403': again,
      'wrong-path-404': only('provider_rejected'),
      'bad-date-400': only('provider_rejected'),
      'error-200': only('provider_rejected'),
      'server-error-500': again,
      'bad-gateway-502': again,
      'unavailable-503': { ...again, retryAfterMs: 7000 },
      'html-200': noJson,
      'text-200': noJson,
      'empty-200': cutOff,
      'truncated-200': cutOff,
      'broken-200': serves,
    },
  },
};

describe.each(Object.entries(providers))('%s', (provider, { classify, answers }) => {
  it.each(Object.entries(answers))('%s', (name, expected) => {
    const { status, headers, body } = fixture(provider, name);
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const refusal = classify(status, new Headers(headers), text, nowMs);
    expect(refusal?.code).toBe((expected as Partial<Refusal> | undefined)?.code);
    expect({ retryable: false, ...refusal }).toMatchObject({ retryable: false, ...expected });
    if (refusal !== undefined) expect(refusal.status).toMatch(/^HTTP \d/);
  });

  it('has no recorded answer that is not told here', () => {
    const files = readdirSync(new URL(`fixtures/${provider}/`, import.meta.url)).map((file) => file.slice(0, -5));
    expect(Object.keys(answers).sort()).toEqual(files.sort());
  });

  it.each([
    ['a refusal for the rate inside a 200', 200, 'rate_limited'],
    ['a text for a refusal for the rate', 429, 'rate_limited'],
    ['a page', 200, 'response_malformed'],
    ['a gateway that is down', 502, 'provider_unavailable'],
  ])('has met %s', (_, status, code) => {
    const met = Object.entries(answers).filter(([name, meaning]) => {
      return fixture(provider, name).status === status && (meaning as Partial<Refusal> | undefined)?.code === code;
    });
    expect(met.length).toBeGreaterThan(0);
  });
});

// Issue 10, item 6.
describe.each(Object.entries(providers))('%s behind a firewall or a gateway', (_, { classify }) => {
  const page = { 'content-type': 'text/html; charset=utf-8' };

  it.each([
    [401, page, '<html><body>401 Authorization Required: no API key, no token</body></html>'],
    [403, page, 'Access denied: your account of this proxy has no key'],
    [403, { 'retry-after': '7' }, ''],
    [401, {}, 'no session'],
    [403, {}, '{"error":"upstream session lost"}'],
  ])('takes a %i for an outage: %j %j', (status, headers, body) => {
    const retryAfterMs = 'retry-after' in headers ? 7_000 : undefined;
    expect(classify(status, new Headers(headers), body, nowMs)).toMatchObject({ ...again, retryAfterMs });
  });
});

describe('classifyAnswer', () => {
  it.each([
    [200, '{"a":1}', undefined],
    [200, ' [1] ', undefined],
    [204, '', 'response_malformed'],
    [200, '[{"a":1}', 'response_malformed'],
    [200, '{"a":1', 'response_malformed'],
    [200, '<html></html>', 'response_malformed'],
    [302, '', 'provider_rejected'],
    // Issue 10, item 6: a refusal that says nothing of our key is an outage.
    [401, '', 'provider_unavailable'],
    [403, '', 'provider_unavailable'],
    [403, 'error code: 1020', 'provider_unavailable'],
    [403, 'RBAC: access denied', 'provider_unavailable'],
    [403, '{"message":"Forbidden"}', 'provider_unavailable'],
    [401, '<html><body>Your session token has expired</body></html>', 'provider_unavailable'],
    [401, '{"error":"monkeys ate the cable"}', 'provider_unavailable'],
    [401, '{"error":"Invalid API key"}', 'unauthorized'],
    [401, '{"code":"InvalidApiKey"}', 'unauthorized'],
    [401, '{"code":"invalid_api_key"}', 'unauthorized'],
    [401, 'bad key: ***', 'unauthorized'],
    [403, '{"message":"You are not subscribed to this API."}', 'unauthorized'],
    [403, '{"detail":"Your account is suspended"}', 'unauthorized'],
    [403, '{"detail":"Invalid token."}', 'unauthorized'],
    [404, '{}', 'provider_rejected'],
    [408, '', 'provider_unavailable'],
    [425, '', 'provider_unavailable'],
    [429, '{}', 'rate_limited'],
    [500, '{}', 'provider_unavailable'],
  ])('%i %j', (status, body, code) => {
    expect(classifyAnswer(status, new Headers(), body, nowMs)?.code).toBe(code);
  });
});
