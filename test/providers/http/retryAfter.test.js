import { describe, expect, it } from 'vitest';
import { headerCount, retryAfterMs } from '../../../src/providers/http/retryAfter.js';
const now = Date.UTC(2026, 10, 24, 8, 0, 0);
describe('retryAfterMs', () => {
  it.each([
    ['7', 7000],
    ['0', 0],
    ['Tue, 24 Nov 2026 08:01:30 GMT', 90_000],
    ['Tue, 24 Nov 2026 07:00:00 GMT', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['Soon, very soon', undefined],
    ['', undefined],
    ['99999999999999999999', undefined],
  ])('reads %j', (value, expected) => {
    expect(retryAfterMs(new Headers({ 'retry-after': value }), now)).toBe(expected);
  });
  it('has nothing without the header', () => {
    expect(retryAfterMs(new Headers(), now)).toBeUndefined();
  });
});
describe('headerCount', () => {
  it.each([
    ['12', 12],
    ['0', 0],
    ['-1', undefined],
    ['1e3', undefined],
    ['many', undefined],
  ])('reads %j', (value, expected) => {
    expect(headerCount(new Headers({ 'api-credits-left': value }), 'api-credits-left')).toBe(expected);
  });
});
