import { once } from 'node:events';
import { createServer, Socket, type AddressInfo } from 'node:net';
import type { ISocketFactory } from 'kafkajs';
import { expect, it } from 'vitest';
import { kafkaClient } from '../../../src/kafka/client/kafkaClient.ts';
import { resolveSourceOptions } from '../../../src/kafka/kafkaSource.ts';
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

// Issue 10, 15: seen as ENOTFOUND of the host `[`, for ever.
it.each([
  ['[::1]:9092', '::1', 9092],
  ['[fe80::1%eth0]:9093', 'fe80::1%eth0', 9093],
  ['kafka:9094', 'kafka', 9094],
])('are opened to %s by its host and port', async (broker, host, port) => {
  const asked: Pick<Target, 'host' | 'port'>[] = [];
  const refuse: ISocketFactory = (target) => {
    asked.push({ host: target.host, port: target.port });
    return new Socket().destroy(new Error('refused'));
  };
  const connection = resolveSourceOptions({ brokers: [broker], groupId: 'group', topics: ['topic'] });
  const admin = kafkaClient(connection, refuse).kafka.admin({ retry: { retries: 0 } });
  await expect(admin.connect()).rejects.toThrow('refused');
  await admin.disconnect();
  expect(asked[0]).toEqual({ host, port });
});

it.each([['[::1]:0'], ['[x]:9092'], ['::1:9092'], ['kafka:70000'], ['kafka:']])('are not opened to %s', (broker) => {
  expect(() => resolveSourceOptions({ brokers: [broker], groupId: 'group', topics: ['topic'] })).toThrow(
    'brokers: expected addresses as host:port',
  );
});
