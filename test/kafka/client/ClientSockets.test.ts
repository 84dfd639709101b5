import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { expect, it } from 'vitest';
import { ClientSockets } from '../../../src/kafka/client/ClientSockets.ts';
import { track } from '../../support/track.ts';

type Target = Parameters<ISocketFactory>[0];

async function startServer() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const target = (onConnect: () => void): Target => ({ host: '127.0.0.1', port, ssl: undefined as never, onConnect });
  return track({ target }, () => server.close());
}

it('opens sockets, and closes what is open', async () => {
  await using server = await startServer();
  const sockets = new ClientSockets();
  const connecting = new Promise<void>((resolve) => {
    const socket = sockets.factory(server.target(resolve));
    socket.once('close', () => undefined);
  });
  await connecting;
  const socket = sockets.factory(server.target(() => undefined));
  await once(socket, 'connect');

  sockets.close();

  await once(socket, 'close');
  expect(socket.destroyed).toBe(true);
});

it('opens none once it is closed: whoever asks for one hears of an error', async () => {
  await using server = await startServer();
  const sockets = new ClientSockets();
  sockets.close();
  let isConnected = false;

  const [error] = (await once(sockets.factory(server.target(() => (isConnected = true))), 'error')) as [Error];

  expect(error.message).toBe('the client is closed');
  expect(isConnected).toBe(false);
});
