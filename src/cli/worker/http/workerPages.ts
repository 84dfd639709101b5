import { jsonPage, type HttpServerOptions } from './httpServer.ts';
import { readyPage, type ReadinessParts } from './readiness.ts';

export interface WorkerPagesOptions extends ReadinessParts {
  readonly metrics: { readonly contentType: string; text(): Promise<string> };
}

/** What a worker tells monitoring. */
export function workerPages({ metrics, ...parts }: WorkerPagesOptions): HttpServerOptions['pages'] {
  const startedAt = performance.now();
  return {
    '/metrics': async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
    // That it answers at all shows that the process is alive: nothing it waits for would be mended by a restart.
    '/healthz': () => jsonPage(200, { alive: true, uptimeSeconds: Math.round((performance.now() - startedAt) / 1000) }),
    '/readyz': () => readyPage(parts),
  };
}
