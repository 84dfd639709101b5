import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { track } from '../../support/track.ts';

/** A recorded answer. A body that is no text is sent as JSON. */
export interface Recording {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export interface Received {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

/** Answers a request, or leaves it unanswered. */
export type Handler = (received: Received, response: ServerResponse) => void;

export interface LoopbackServer {
  readonly baseUrl: string;
  /** What was on the wire so far. */
  readonly requests: readonly Received[];
}

export function fixture(provider: string, name: string): Recording {
  return JSON.parse(
    readFileSync(new URL(`../fixtures/${provider}/${name}.json`, import.meta.url), 'utf8'),
  ) as Recording;
}

/** A real HTTP server on loopback that gives every request the same answer, or what a handler makes of it. */
export async function loopbackServer(answer: Recording | Handler): Promise<LoopbackServer & AsyncDisposable> {
  const requests: Received[] = [];
  const handle = typeof answer === 'function' ? answer : replay(answer);
  const server = createServer((request, response) => {
    const received = { url: request.url ?? '', headers: request.headers };
    requests.push(received);
    handle(received, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return track({ baseUrl: `http://127.0.0.1:${port}`, requests }, async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
}

export function replay({ status, headers, body }: Recording): Handler {
  return (_, response) => {
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

/** A call that nobody aborts, with a list of what was reported. */
export function openCall() {
  const reports: object[] = [];
  const call = {
    signal: new AbortController().signal,
    report: (seen: object) => {
      reports.push(seen);
    },
  };
  return { call, reports };
}
