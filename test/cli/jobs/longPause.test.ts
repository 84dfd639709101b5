import { describe, expect, it } from 'vitest';
import { quoteBody, startMarketServer, type Answer } from '../../support/marketServer.ts';
import { track } from '../../support/track.ts';
import { cli } from '../support/cli.ts';

describe('a run whose provider asks for a pause of hours', () => {
  // Issue 10, item 20.
  it('says so, waits for a window of the plan, and goes on', async () => {
    let isRefused = false;
    await using server = track(
      await startMarketServer(({ symbols }): Answer => {
        isRefused = !isRefused;
        return isRefused
          ? {
              status: 429,
              headers: { 'retry-after': '60000' },
              body: { code: 429, status: 'error', message: 'too many' },
            }
          : { body: quoteBody(symbols[0] ?? '') };
      }),
    );
    const { code, stderr } = await cli(['run', 'market-data', '--symbols', 'AAPL:STOCK', '--database', 'memory'], {
      env: { TWELVE_DATA_API_KEY: 'key', TWELVE_DATA_API_HOST: server.baseUrl, TWELVE_DATA_WINDOW_MS: '300' },
    });
    expect(stderr).toContain('twelve-data asks for a pause of 1000 min 0 s: waiting for 300 ms, a window of the plan');
    expect([code, server.requests.length]).toEqual([0, 2]);
  });
});
