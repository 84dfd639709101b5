import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

export interface ConnectProxy extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** What it was asked to connect to, with the credentials that were shown. */
  readonly asked: readonly { readonly target: string; readonly login: string | undefined }[];
}

/** A proxy on loopback that speaks CONNECT and leads every host to one server. With `login` it wants those credentials. */
export async function connectProxy(port: number, login?: string): Promise<ConnectProxy> {
  const asked: { target: string; login: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer();
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (request, client, head) => {
    const [, shown] = /^Basic (.+)$/.exec(request.headers['proxy-authorization'] ?? '') ?? [];
    const credentials = shown === undefined ? undefined : Buffer.from(shown, 'base64').toString();
    asked.push({ target: request.url ?? '', login: credentials });
    if (credentials !== login) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const target = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    sockets.add(target);
    for (const socket of [target, client]) socket.on('error', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    asked,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
