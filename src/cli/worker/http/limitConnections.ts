import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Most connections at the same time. */
  readonly total: number;
  /** Most connections at the same time of one address. */
  readonly perAddress: number;
}

/** How long a connection has to send its request before it makes room for others, in milliseconds. */
const graceMs = 100;

/** So many times the limits may be there for that long. */
const graceFactor = 10;

/**
 * Keeps the connections of a server within limits, and room for whoever comes: of those beyond them the oldest are cut, first those
 * that have not sent a request. Whoever opens many and says nothing thus cuts itself; refusing what comes last, as
 * `maxConnections` does, would keep a probe out. They are cut 100 ms late, so that a probe can speak though many others come just
 * behind it; ten times as many are cut at once.
 *
 * A connection that asks again before it is answered is cut: no client of today does (pipelining), and what is answered to it
 * would have to be kept.
 */
export function limitConnections(server: Server, { total, perAddress }: ConnectionLimits): void {
  /** The oldest first. */
  const addresses = new Map<Socket, string>();
  /** Those that have a request without an answer. */
  const asking = new Set<Socket>();

  function cutBeyond(most: number, sockets: readonly Socket[]): void {
    const silent = sockets.filter((socket) => !asking.has(socket));
    const others = sockets.filter((socket) => asking.has(socket));
    for (const socket of [...silent, ...others].slice(0, Math.max(0, sockets.length - most))) {
      socket.destroy();
      forget(socket);
    }
  }

  function makeRoom(address: string, factor: number): void {
    const all = [...addresses.keys()];
    cutBeyond(
      perAddress * factor,
      all.filter((socket) => addresses.get(socket) === address),
    );
    cutBeyond(total * factor, [...addresses.keys()]);
  }

  function forget(socket: Socket): void {
    addresses.delete(socket);
    asking.delete(socket);
  }

  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    addresses.set(socket, address);
    makeRoom(address, graceFactor);
    setTimeout(() => {
      makeRoom(address, 1);
    }, graceMs).unref();
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
