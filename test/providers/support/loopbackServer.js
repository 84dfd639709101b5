import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { track } from '../../support/track.js';
export function fixture(provider, name) {
  return JSON.parse(readFileSync(new URL(`../fixtures/${provider}/${name}.json`, import.meta.url), 'utf8'));
}
/** A real HTTP server on loopback that gives every request the same answer, or what a handler makes of it. */
export async function loopbackServer(answer) {
  const requests = [];
  const handle = typeof answer === 'function' ? answer : replay(answer);
  const server = createServer((request, response) => {
    const received = { url: request.url ?? '', headers: request.headers };
    requests.push(received);
    handle(received, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return track({ baseUrl: `http://127.0.0.1:${port}`, requests }, async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
}
export function replay({ status, headers, body }) {
  return (_, response) => {
    response.writeHead(status, headers);
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}
/** A call that nobody aborts, with a list of what was reported. */
export function openCall() {
  const reports = [];
  const call = {
    signal: new AbortController().signal,
    report: (seen) => {
      reports.push(seen);
    },
  };
  return { call, reports };
}
