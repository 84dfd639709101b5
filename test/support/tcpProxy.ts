import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { ProxyLane } from './wire/ProxyLane.ts';
import { plainBytes, type Protocol } from './wire/protocol.ts';

/** How the network is at the moment. All of it holds for connections that are open, too, from the next byte on. */
export interface Conditions {
  /** How long bytes are on their way, each way. */
  readonly latencyMs: number;
  /** By how much more at most; no byte overtakes another. */
  readonly jitterMs: number;
  /** Bytes are kept, both ways, until this ends. */
  readonly paused: boolean;
  /** Bytes vanish, both ways: who waits for an answer runs into its time limit. */
  readonly swallow: boolean;
  /** A connection is reset after so many bytes of the server, from its beginning. */
  readonly cutAfterBytes: number;
  /** When one side closes, the other hears of it so much later. */
  readonly slowCloseMs: number;
}

export const calm: Conditions = {
  latencyMs: 0,
  jitterMs: 0,
  paused: false,
  swallow: false,
  cutAfterBytes: Infinity,
  slowCloseMs: 0,
};

/** A connection through a proxy. */
export interface ProxiedConnection {
  /** Counts from 1. */
  readonly number: number;
  /** Resets it, to both sides. */
  reset(): void;
  /** Ends it in order, to the client, as a server does that is stopped. */
  hangUp(): void;
}

/** What becomes of a message: nothing special, or it goes nowhere. */
export type Verdict = undefined | 'drop';

/** Sees a message before it goes on, which it does once a promise has resolved. */
export type OnMessage<Message> = (message: Message, connection: ProxiedConnection) => Verdict | Promise<Verdict>;

export interface TcpProxyOptions<FromClient, FromServer> {
  /** The port of the server, on the loopback interface; asked for with each connection, so that it may change. */
  target: () => number;
  /** Its own port. Default: any that is free. */
  port?: number | undefined;
  /** Cuts the bytes into messages. Default: as they come. */
  protocol?: Protocol<FromClient, FromServer> | undefined;
  /** Default: all go on. */
  onClientMessage?: OnMessage<FromClient> | undefined;
  /** Default: all go on. */
  onServerMessage?: OnMessage<FromServer> | undefined;
  /** Default: Math.random. */
  random?: (() => number) | undefined;
}

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** How many connections were opened through it. */
  readonly connections: number;
  /** How many of them are open. */
  readonly open: number;
  /** Changes some of the conditions. */
  set(conditions: Partial<Conditions>): void;
  /** Resets all that is open. */
  reset(): void;
  /** Resets all that is open and refuses what comes, as a machine does where nobody listens. */
  refuse(): Promise<void>;
  /** Ends `refuse`. */
  admit(): Promise<void>;
}

/** A proxy on the loopback interface: what it does to the connections through it can change at any moment. */
export async function startTcpProxy<FromClient = Buffer, FromServer = Buffer>(
  options: TcpProxyOptions<FromClient, FromServer>,
): Promise<TcpProxy> {
  const protocol = options.protocol ?? (plainBytes as unknown as Protocol<FromClient, FromServer>);
  let conditions = calm;
  let connections = 0;
  let server: Server | undefined;
  const open = new Map<Socket, Connected>();

  function accept(client: Socket): void {
    connections += 1;
    const connected = join(client, connections, { ...options, protocol, conditions: () => conditions });
    open.set(client, connected);
    client.once('close', () => open.delete(client));
  }

  async function listen(port: number): Promise<number> {
    server = createServer({ allowHalfOpen: true, noDelay: true }, accept).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  const reset = (): void => {
    for (const connected of open.values()) connected.reset();
  };

  async function refuse(): Promise<void> {
    const closing = server;
    server = undefined;
    reset();
    if (closing !== undefined) await new Promise((resolve) => closing.close(resolve));
  }

  const port = await listen(options.port ?? 0);
  return {
    port,
    get connections() {
      return connections;
    },
    get open() {
      return open.size;
    },
    set(changes) {
      conditions = { ...conditions, ...changes };
      for (const connected of open.values()) connected.goOn();
    },
    reset,
    refuse,
    async admit() {
      if (server === undefined) await listen(port);
    },
    [Symbol.asyncDispose]: refuse,
  };
}

interface Connected extends ProxiedConnection {
  /** Looks at the conditions again. */
  goOn(): void;
}

type JoinOptions<C, S> = TcpProxyOptions<C, S> & {
  readonly protocol: Protocol<C, S>;
  readonly conditions: () => Conditions;
};

/** Connects a client to the server. */
function join<C, S>(client: Socket, number: number, options: JoinOptions<C, S>): Connected {
  const { target, protocol, conditions, random, onClientMessage, onServerMessage } = options;
  const server = connect({ port: target(), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  const framing = protocol();
  const lanes: ProxyLane[] = [];
  const connected: Connected = {
    number,
    reset: () => {
      for (const lane of lanes) lane.end();
      for (const socket of [client, server]) resetSocket(socket);
    },
    hangUp: () => {
      for (const lane of lanes) lane.end();
      client.end();
      resetSocket(server);
    },
    goOn: () => {
      for (const lane of lanes) lane.goOn();
    },
  };
  const shared = { conditions, random, reset: () => connected.reset() };
  lanes.push(
    new ProxyLane(client, server, {
      ...shared,
      cut: (chunk) => framing.fromClient(chunk),
      onMessage: (message) => onClientMessage?.(message as C, connected),
      cutsAfterBytes: false,
    }),
    new ProxyLane(server, client, {
      ...shared,
      cut: (chunk) => framing.fromServer(chunk),
      onMessage: (message) => onServerMessage?.(message as S, connected),
      cutsAfterBytes: true,
    }),
  );
  return connected;
}

/** `resetAndDestroy` alone ends the socket in order first, and the other side may hear of that and not of the reset. */
function resetSocket(socket: Socket): void {
  Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}
