import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Most connections at the same time. */
  readonly total: number;
  /** Most connections at the same time of one address. */
  readonly perAddress: number;
}

/**
 * Keeps the connections of a server within limits, and room for whoever comes: beyond them it is the oldest one that is cut, first
 * of those that have not sent a request. Whoever opens many and says nothing thus cuts itself, and never a probe, which speaks at
 * once; refusing what comes last, as `maxConnections` does, would keep the probe out.
 *
 * A connection that asks again before it is answered is cut: no client of today does (pipelining), and what is answered to it
 * would have to be kept.
 */
export function limitConnections(server: Server, { total, perAddress }: ConnectionLimits): void {
  /** The oldest first. */
  const addresses = new Map<Socket, string>();
  /** Those that have a request without an answer. */
  const asking = new Set<Socket>();

  function cutOldest(sockets: readonly Socket[]): void {
    const socket = sockets.find((each) => !asking.has(each)) ?? sockets[0];
    socket?.destroy();
    if (socket !== undefined) forget(socket);
  }

  function forget(socket: Socket): void {
    addresses.delete(socket);
    asking.delete(socket);
  }

  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    const all = [...addresses.keys()];
    const same = all.filter((each) => addresses.get(each) === address);
    if (same.length >= perAddress) cutOldest(same);
    else if (all.length >= total) cutOldest(all);
    addresses.set(socket, address);
    socket.once('close', () => {
      forget(socket);
    });
  });

  server.on('request', ({ socket }, response) => {
    if (asking.has(socket)) {
      socket.destroy();
      return;
    }
    asking.add(socket);
    response.once('close', () => asking.delete(socket));
  });
}
