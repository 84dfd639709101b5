import { describe, expect, it } from 'vitest';
import { readyPage } from '../../../../src/cli/worker/http/readiness.ts';
import { ProviderError, type ProviderHealth } from '../../../../src/index.ts';

describe('readiness', () => {
  // Issue 10, item 6.
  it('says that a provider refuses the key, and when the next request tries again, without its words', async () => {
    const until = new Date(Date.UTC(2026, 10, 24, 12, 5));
    const error = new ProviderError('unauthorized', 'twelve-data: HTTP 401: wrong key');
    const health: ProviderHealth = { provider: 'twelve-data', state: 'refused', error, until };
    const page = await readyPage({
      state: () => 'running',
      groupId: 'group',
      isJoined: () => true,
      held: () => [],
      database: undefined,
      providers: [{ pipeline: 'market-data', health: () => [health] }],
    });
    expect(page.status).toBe(503);
    expect(JSON.parse(page.body)).toMatchObject({
      ready: false,
      pipelines: [
        {
          pipeline: 'market-data',
          ready: false,
          providers: [{ provider: 'twelve-data', state: 'refused', error: 'unauthorized', until: until.toISOString() }],
        },
      ],
    });
    expect(page.body).not.toContain('wrong key');
  });

  // Issue 10, item 8.
  it('names the partitions that are held by what cannot be decoded, and is not there for them', async () => {
    const page = await readyPage({
      state: () => 'running',
      groupId: 'group',
      isJoined: () => true,
      held: () => [{ topic: 'REQUESTS', partition: 2, offset: '17' }],
      database: undefined,
      providers: [],
    });
    expect(page.status).toBe(503);
    expect(JSON.parse(page.body)).toMatchObject({
      ready: false,
      kafka: { ready: false, group: 'group', held: [{ topic: 'REQUESTS', partition: 2, offset: '17' }] },
    });
  });
});
