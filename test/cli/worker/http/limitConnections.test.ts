import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { limitConnections } from '../../../../src/cli/worker/http/limitConnections.ts';
import { track } from '../../../support/track.ts';

/** A server of which one address may have two connections at the same time, and clients that it has accepted. */
async function openServer() {
  const server = createServer((_request, response) => response.end('fine'));
  limitConnections(server, { total: 100, perAddress: 2 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets: Socket[] = [];
  const connected = async (): Promise<Socket> => {
    const accepted = once(server, 'connection');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
    sockets.push(socket);
    await Promise.all([accepted, once(socket, 'connect')]);
    return socket;
  };
  return track({ connected }, async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
}

const closed = (socket: Socket): Promise<unknown> => once(socket.resume(), 'close');

describe('limitConnections', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });

  // Issue 10, 12; seen: 1 probe of 600 was cut before it had spoken.
  it('lets a connection speak that too many others came behind', async () => {
    await using server = await openServer();
    const probe = await server.connected();
    for (let other = 1; other <= 10; other += 1) await server.connected();
    const answer = text(probe);
    probe.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');

    expect(await answer).toContain('fine');
  });

  it('cuts the oldest that has said nothing for 100 ms', async () => {
    await using server = await openServer();
    const [first, second] = [await server.connected(), await server.connected()];
    vi.advanceTimersByTime(1_000);
    const third = await server.connected();
    vi.advanceTimersByTime(99);
    const fourth = await server.connected();
    const gone = Promise.all([closed(first), closed(second)]);
    vi.advanceTimersByTime(1);
    await gone;

    expect([third.destroyed, fourth.destroyed]).toEqual([false, false]);
  });

  it('cuts at once what is ten times too many', async () => {
    await using server = await openServer();
    const first = await server.connected();
    for (let other = 1; other <= 19; other += 1) await server.connected();
    const gone = closed(first);
    await server.connected();
    await gone;

    expect(first.destroyed).toBe(true);
  });
});
