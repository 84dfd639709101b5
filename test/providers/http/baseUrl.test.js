import { describe, expect, it } from 'vitest';
import { endpointUrl, hostToBaseUrl } from '../../../src/providers/http/baseUrl.js';
describe('hostToBaseUrl', () => {
  it.each([
    ['api.twelvedata.com', 'https://api.twelvedata.com'],
    ['localhost:8080', 'https://localhost:8080'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['HTTPS://api.example.com/v1/', 'HTTPS://api.example.com/v1'],
  ])('of %s is %s', (host, baseUrl) => {
    expect(hostToBaseUrl(host)).toBe(baseUrl);
  });
  it.each(['', 'two words', 'https://', 'user:secret@host', 'host?apikey=secret', 'host#secret'])(
    'refuses %j',
    (host) => {
      expect(() => hostToBaseUrl(host)).toThrow('host: expected');
      expect(() => hostToBaseUrl(host)).not.toThrow('secret');
    },
  );
});
describe('endpointUrl', () => {
  it.each(['/quote', 'quote', '//quote'])('joins %s with one slash', (path) => {
    expect(endpointUrl('https://host/', path)).toBe('https://host/quote');
    expect(endpointUrl('https://host/v1', path)).toBe('https://host/v1/quote');
  });
});
