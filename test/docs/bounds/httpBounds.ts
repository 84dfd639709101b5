import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { jsonPage, serveHttp } from '../../../src/cli/worker/http/httpServer.ts';
import type { InputBounds } from './inputBound.ts';

async function openSocket(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => undefined);
  await once(socket, 'connect');
  return socket.resume();
}

const pages = { '/ok': () => jsonPage(200, {}) };
const serve = () => serveHttp({ host: '127.0.0.1', port: 0, pages, timeoutMs: 600_000 });

/** Connections up to a bound are kept, the next one cuts the oldest. */
async function showConnections(bound: number, addressOf: (index: number) => string): Promise<void> {
  await using server = await serve();
  const port = Number(new URL(server.url).port);
  const sockets: Socket[] = [];
  for (let index = 0; index < bound; index += 1) sockets.push(await openSocket(port, addressOf(index)));
  assert.equal(sockets.filter(({ destroyed }) => destroyed).length, 0);
  const [oldest] = sockets;
  assert.ok(oldest);
  const cut = once(oldest, 'close');
  sockets.push(await openSocket(port, addressOf(bound)));
  // It is cut after 100 ms; a bound that does not hold is said, and does not hang.
  const kept = pause(10_000, undefined, { ref: false }).then(() => assert.fail('the oldest is still there'));
  await Promise.race([cut, kept]);
  assert.equal(sockets.filter(({ destroyed }) => destroyed).length, 1);
  for (const socket of sockets) socket.destroy();
}

/** The statuses that are answered to what is sent on one connection. */
async function statusesOf(sent: string): Promise<readonly string[]> {
  await using server = await serve();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write(sent);
  const answer = await text(socket).catch(() => '');
  return [...answer.matchAll(/^HTTP\/1.1 (\d+)/gm)].map(([, status]) => status ?? '');
}

const last = 'GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n';

export const httpBounds: InputBounds = {
  'connections of an address to the HTTP port': {
    bound: [20, 'connections'],
    show: (bound) => showConnections(bound, () => '127.0.0.1'),
  },
  'connections to the HTTP port': {
    bound: [100, 'connections'],
    show: (bound) => showConnections(bound, (index) => `127.0.0.${1 + Math.floor(index / 20)}`),
  },
  'requests of a connection without an answer': {
    bound: [1, 'requests'],
    async show(bound) {
      const more = 'GET /ok HTTP/1.1\r\nHost: x\r\n\r\n';
      const requests = (count: number) => statusesOf(`${more.repeat(count - 1)}${last}\r\n`);
      assert.deepEqual([await requests(bound), await requests(bound + 1)], [['200'], []]);
    },
  },
  'path and headers of a request to the HTTP port': {
    bound: [16_384, 'bytes'],
    async show(bound) {
      // Node.js counts names and values, and not what stands between them.
      const counted = '/ok'.length + 'HostxConnectioncloseX'.length;
      const headers = (bytes: number) => statusesOf(`${last}X: ${'x'.repeat(bytes - counted)}\r\n\r\n`);
      assert.deepEqual([await headers(bound - 1), await headers(bound)], [['200'], ['431']]);
    },
  },
  'body of a request to the HTTP port': {
    bound: [0, 'bytes'],
    async show(bound) {
      const body = (length: number) => statusesOf(`${last}Content-Length: ${length}\r\n\r\n${'x'.repeat(length)}`);
      assert.deepEqual([await body(bound), await body(bound + 1)], [['200'], ['413']]);
    },
  },
};
