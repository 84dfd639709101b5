import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** Ports that nobody listens on at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** Waits until a broker answers a request for its versions; `failure` tells early that it never will. */
export async function answering(port: number, failure: () => string | undefined): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while (!(await isAnswering(port))) {
    const reason = failure();
    if (reason !== undefined) throw new Error(reason);
    if (performance.now() > deadlineMs) throw new Error('the broker does not answer');
    await setTimeout(50);
  }
}

function isAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    // ApiVersions, version 0: length, key, version, correlation id, client id.
    const request = Buffer.from([0, 0, 0, 11, 0, 18, 0, 0, 0, 0, 0, 1, 0, 1, 120]);
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    const done = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.on('data', () => done(true));
    socket.on('error', () => done(false));
    socket.on('close', () => done(false)); // docker's own proxy accepts before the broker does
    socket.setTimeout(1_000, () => done(false));
  });
}
