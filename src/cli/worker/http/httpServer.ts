import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { OptionsError, PipelineError } from '../../../index.ts';
import { limitConnections } from './limitConnections.ts';

/** What is answered to a request. */
export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HttpServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** What is served, by path. */
  readonly pages: Readonly<Record<string, () => Page | Promise<Page>>>;
  /** How long a client may take to send a request, and to read some of the answer, in milliseconds. Default: 5000. */
  readonly timeoutMs?: number | undefined;
}

export interface HttpServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:9464`. */
  readonly url: string;
}

const text = (status: number, body: string): Page => ({
  status,
  contentType: 'text/plain; charset=utf-8',
  body: `${body}\n`,
});

/** A page of JSON. */
export function jsonPage(status: number, value: unknown): Page {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

/** Most bytes of a path and headers. As in Node.js, whatever its options say. */
const maxHeaderSize = 16_384;

/** Monitoring needs a few: more come from somebody who would keep it out. */
const limits = { total: 100, perAddress: 20 };

/**
 * Serves a few pages to monitoring: GET and HEAD, without a body. Rejects with an `OptionsError` that says what to do when the
 * address cannot be had.
 *
 * Probes are answered whatever others do at the port: connections are few, and silent ones make room.
 */
export async function serveHttp({ host, port, pages, timeoutMs = 5_000 }: HttpServerOptions): Promise<HttpServer> {
  const server = createServer({
    maxHeaderSize,
    requestTimeout: timeoutMs,
    headersTimeout: timeoutMs,
    keepAliveTimeout: timeoutMs,
    // How often Node.js looks for clients that take longer; its default is half a minute.
    connectionsCheckingInterval: Math.ceil(timeoutMs / 10),
  });
  // Cuts off whoever does not read the answer.
  server.setTimeout(timeoutMs);
  limitConnections(server, limits);
  server.on('request', (request, response) => {
    if (request.socket.destroyed) return;
    void answer(request, pages).then((page) => {
      send(request, response, page);
    });
  });
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw notListening(cause, host, port);
  }
  const address = server.address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, pages: HttpServerOptions['pages']): Promise<Page> {
  const { method = '', url = '', headers } = request;
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'only GET and HEAD');
  if (hasBody(headers)) return text(413, 'no body is taken');
  const path = url.split('?', 1)[0] ?? '';
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined) return text(404, `there are ${Object.keys(pages).join(', ')}`);
  try {
    return await page();
  } catch (error) {
    // Its message may say more than those should read who can reach the port.
    return text(500, `failed: ${PipelineError.from(error).code}`);
  }
}

function hasBody(headers: IncomingMessage['headers']): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

function send(request: IncomingMessage, response: ServerResponse, { status, contentType, body }: Page): void {
  response.writeHead(status, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(status === 405 && { allow: 'GET, HEAD' }),
    // What was sent beside the request is not read.
    ...((status === 405 || status === 413) && { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function notListening(cause: unknown, host: string, port: number): OptionsError {
  const { code } = cause as NodeJS.ErrnoException;
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is in use: stop what listens there, or give another --port (0 takes any)`,
    EACCES: `port ${port} needs more rights: give a --port above 1023`,
    EADDRNOTAVAIL: `this machine has no address ${host}: give another --host`,
    ENOTFOUND: `there is no host ${host}: give another --host`,
  };
  const reason = reasons[code ?? ''] ?? `cannot listen at ${host}, port ${port} (${code ?? 'unknown error'})`;
  return new OptionsError(`work: ${reason}`, { cause });
}
