import { connect, isIP, Socket } from 'node:net';
import { connect as connectSecurely, type ConnectionOptions } from 'node:tls';
import type { ISocketFactory, ISocketFactoryArgs } from 'kafkajs';

/** The types of kafkajs do not say that there may be no TLS. */
type Target = Omit<ISocketFactoryArgs, 'ssl'> & { readonly ssl?: ConnectionOptions | false | undefined };

/**
 * An address as kafkajs can take it: it cuts `[::1]:9092` at its first colon (cluster/connectionPoolBuilder.js), so that those
 * of the host are encoded until a socket is opened.
 */
export function forKafkajs(address: string): string {
  const [, host, port] = /^\[(.*)\]:(\d+)$/.exec(address) ?? [];
  return host === undefined || port === undefined ? address : `${host.replaceAll(':', colon)}:${port}`;
}

const colon = '%3A';

/** As the factory of kafkajs (network/socketFactory.js), which it does not export. */
function openSocket({ host, port, ssl, onConnect }: Target): Socket {
  const name = isIP(host) === 0 ? { servername: host } : {};
  const socket = ssl ? connectSecurely({ host, port, ...name, ...ssl }, onConnect) : connect({ host, port }, onConnect);
  return socket.setKeepAlive(true, 60_000);
}

/**
 * The sockets of one client, which can be closed for good.
 *
 * kafkajs tries a request again whose connection broke off, and connects anew for it, although the client may have been
 * disconnected meanwhile: such a socket would stay open, and keep the process from ending.
 */
export class ClientSockets {
  readonly #open = new Set<Socket>();
  readonly #openSocket: ISocketFactory;
  #isClosed = false;

  constructor(factory: ISocketFactory = openSocket) {
    this.#openSocket = factory;
  }

  /** For kafkajs. */
  readonly factory: ISocketFactory = (target) => {
    if (this.#isClosed) return new Socket().destroy(new Error('the client is closed'));
    const socket = this.#openSocket({ ...target, host: target.host.replaceAll(colon, ':') });
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  };

  /** Destroys those that are open, and any that is asked for from now on. */
  close(): void {
    this.#isClosed = true;
    for (const socket of this.#open) socket.destroy();
  }
}
