import { expect, it } from 'vitest';
import { Probe } from '../../../../src/cli/worker/http/Probe.ts';
import { readyPage } from '../../../../src/cli/worker/http/readiness.ts';

// Issue 10, item 7: the database answered, and so the worker was called ready.
it('is not ready while requests wait for what the deployment of the database lacks', async () => {
  const watch = { isNotReady: true };
  const parts = {
    state: () => 'running' as const,
    groupId: 'group',
    isJoined: () => true,
    database: new Probe({ ask: () => Promise.resolve() }),
    isDatabaseNotReady: () => watch.isNotReady,
    providers: [],
  };
  const waiting = await readyPage(parts);
  watch.isNotReady = false;
  const ready = await readyPage(parts);

  expect([waiting.status, ready.status]).toEqual([503, 200]);
  expect(JSON.parse(waiting.body)).toMatchObject({
    ready: false,
    postgresql: { ready: false, error: 'database_not_ready' },
  });
  expect(JSON.parse(ready.body)).toMatchObject({ ready: true, postgresql: { ready: true } });
});
