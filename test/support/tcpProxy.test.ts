import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { serverUrl } from './postgres.ts';
import { startTcpProxy, type TcpProxy, type TcpProxyOptions } from './tcpProxy.ts';
import { track } from './track.ts';
import { kafkaWire, type KafkaMessage } from './wire/kafkaWire.ts';
import { postgresWire, type PostgresAnswer, type PostgresRequest } from './wire/postgresWire.ts';

/** A server that sends back what it gets, in capitals; `ends` tells of the connections that ended, and how. */
async function startEcho() {
  const sockets = new Set<Socket>();
  const ends: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('data', (chunk) => socket.write(String(chunk).toUpperCase()));
    socket.on('end', () => {
      ends.push('end');
      socket.end();
    });
    socket.on('error', () => ends.push('error'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as AddressInfo).port;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return track({ port, ends }, close);
}

/** A client that collects what it gets. */
async function talkTo(proxy: TcpProxy) {
  const socket = connect(proxy.port, '127.0.0.1');
  let heard = '';
  let end: string | undefined;
  const waiting = new Set<() => void>();
  const look = (): void => {
    for (const check of waiting) check();
  };
  socket.on('data', (chunk) => {
    heard += String(chunk);
    look();
  });
  socket.on('error', (error: NodeJS.ErrnoException) => (end = error.code ?? 'error'));
  socket.on('close', () => {
    end ??= 'closed';
    look();
  });
  const until = (isSo: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  await once(socket, 'connect');
  return track(
    {
      say: (text: string) => void socket.write(text),
      finish: () => void socket.end(),
      hears: (text: string) => until(() => heard.includes(text)),
      ended: async () => {
        await until(() => end !== undefined);
        return end;
      },
      heard: () => heard,
    },
    () => socket.destroy(),
  );
}

async function open(options: Partial<TcpProxyOptions<Buffer, Buffer>> = {}) {
  const echo = await startEcho();
  const proxy = track(await startTcpProxy({ target: () => echo.port, ...options }));
  const close = async (): Promise<void> => {
    await proxy[Symbol.asyncDispose]();
    await echo[Symbol.asyncDispose]();
  };
  return { proxy, echo, [Symbol.asyncDispose]: close };
}

describe('a proxy', () => {
  it('passes on what both sides say, and counts the connections', async () => {
    await using bench = await open();
    await using one = await talkTo(bench.proxy);
    await using other = await talkTo(bench.proxy);

    one.say('hello');
    other.say('there');
    await Promise.all([one.hears('HELLO'), other.hears('THERE')]);

    expect([bench.proxy.connections, bench.proxy.open]).toEqual([2, 2]);
  });

  it('passes on that a side has finished', async () => {
    await using bench = await open();
    await using client = await talkTo(bench.proxy);

    client.finish();

    expect(await client.ended()).toBe('closed');
    expect(bench.echo.ends).toEqual(['end']);
  });

  it('delays what passes, each way, and keeps its order', async () => {
    await using bench = await open({ random: Math.random });
    bench.proxy.set({ latencyMs: 20, jitterMs: 5 });
    await using client = await talkTo(bench.proxy);
    const startMs = performance.now();

    for (const letter of 'abcdefgh') {
      client.say(letter);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.hears('ABCDEFGH');

    expect(performance.now() - startMs).toBeGreaterThanOrEqual(39);
  });

  it('keeps what comes while it is paused', async () => {
    await using bench = await open();
    await using client = await talkTo(bench.proxy);
    bench.proxy.set({ paused: true });
    client.say('later');
    await using other = await talkTo(bench.proxy);

    expect(client.heard() + other.heard()).toBe('');
    bench.proxy.set({ paused: false });
    await client.hears('LATER');
  });

  it('swallows what comes until that ends', async () => {
    await using bench = await open();
    await using client = await talkTo(bench.proxy);
    client.say('1');
    await client.hears('1');

    let seen = 0;
    const swallowing = new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (++seen > 2) {
          clearInterval(timer);
          resolve();
        }
      }, 5);
    });
    bench.proxy.set({ swallow: true });
    client.say('lost');
    await swallowing;
    bench.proxy.set({ swallow: false });
    client.say('2');
    await client.hears('2');

    expect(client.heard()).toBe('12');
  });

  it('cuts a connection after so many bytes of the server', async () => {
    await using bench = await open();
    bench.proxy.set({ cutAfterBytes: 5 });
    await using client = await talkTo(bench.proxy);

    client.say('hello there');

    // A reset may overtake what was sent before it, and libuv takes one right behind data for an end.
    expect(['ECONNRESET', 'closed']).toContain(await client.ended());
    expect('HELLO').toContain(client.heard());
    expect(bench.proxy.open).toBe(0);
  });

  it('resets what is open, to both sides, and takes new connections', async () => {
    await using bench = await open();
    await using client = await talkTo(bench.proxy);
    client.say('x');
    await client.hears('X');

    bench.proxy.reset();

    expect(await client.ended()).toBe('ECONNRESET');
    await using other = await talkTo(bench.proxy);
    other.say('again');
    await other.hears('AGAIN');
    expect(bench.echo.ends).toEqual(['error']);
  });

  it('refuses connections, and admits them again on the same port', async () => {
    await using bench = await open();
    await using client = await talkTo(bench.proxy);

    await bench.proxy.refuse();

    expect(await client.ended()).toBe('ECONNRESET');
    await expect(talkTo(bench.proxy)).rejects.toThrow('ECONNREFUSED');
    await bench.proxy.admit();
    await using other = await talkTo(bench.proxy);
    other.say('back');
    await other.hears('BACK');
  });

  it('tells of an end late when it is to close slowly', async () => {
    await using bench = await open();
    bench.proxy.set({ slowCloseMs: 50 });
    await using client = await talkTo(bench.proxy);
    const startMs = performance.now();

    client.finish();
    await client.ended();

    expect(performance.now() - startMs).toBeGreaterThanOrEqual(99); // there and back
  });

  it('resets a connection whose server is not there', async () => {
    await using proxy = track(await startTcpProxy({ target: () => 1 }));
    await using client = await talkTo(proxy);

    expect(await client.ended()).toBe('ECONNRESET');
  });

  it('shows messages before they go on, which a hook can hold up and drop', async () => {
    const seen: string[] = [];
    let release = (): void => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    await using bench = await open({
      async onClientMessage(message) {
        seen.push(`client ${String(message)}`);
        if (String(message) === 'secret') return 'drop';
        await held;
        return undefined;
      },
      onServerMessage: (message) => void seen.push(`server ${String(message)}`),
    });
    await using client = await talkTo(bench.proxy);

    client.say('open');
    setTimeout(release, 5);
    await client.hears('OPEN');
    client.say('secret');
    client.finish();
    await client.ended();

    expect(seen).toEqual(['client open', 'server OPEN', 'client secret']);
    expect(client.heard()).toBe('OPEN');
  });
});

/** A request of Kafka: key, version, correlation id, client id `x`, and a body. */
function kafkaRequest(key: number, version: number, correlationId: number, body: readonly number[] = []): Buffer {
  const bytes = Buffer.alloc(15 + body.length);
  bytes.writeInt32BE(bytes.length - 4, 0);
  bytes.writeInt16BE(key, 4);
  bytes.writeInt16BE(version, 6);
  bytes.writeInt32BE(correlationId, 8);
  bytes.writeInt16BE(1, 12);
  bytes.write('x', 14);
  bytes.set(body, 15);
  return bytes;
}

/** An answer of no delay and an error code. */
function kafkaAnswer(correlationId: number, errorCode = 0): Buffer {
  const bytes = Buffer.alloc(14);
  bytes.writeInt32BE(10, 0);
  bytes.writeInt32BE(correlationId, 4);
  bytes.writeInt16BE(errorCode, 12);
  return bytes;
}

describe('messages of Kafka', () => {
  const short = ({ name, correlationId, commits }: KafkaMessage): unknown[] => [name, correlationId, commits];

  it('are found however the bytes come, and answers are named by their request', () => {
    const { fromClient, fromServer } = kafkaWire();
    const requests = Buffer.concat([
      kafkaRequest(0, 7, 1, [1, 2, 3]),
      kafkaRequest(26, 1, 2, [1]),
      kafkaRequest(999, 0, 3),
    ]);

    const seen = [...requests].flatMap((byte) => fromClient(Buffer.from([byte])));
    expect(Buffer.concat(seen.map(({ bytes }) => bytes))).toEqual(requests);
    expect(seen.map(({ message }) => short(message!))).toEqual([
      ['Produce', 1, undefined],
      ['EndTxn', 2, true],
      ['other', 3, undefined],
    ]);

    const answers = fromServer(Buffer.concat([kafkaAnswer(2, 47), kafkaAnswer(1)]));
    expect(answers.map(({ message }) => [message?.name, message?.commits, message?.errorCode])).toEqual([
      ['EndTxn', true, 47],
      ['Produce', undefined, undefined],
    ]);
  });

  it('tell whether a transaction is committed or aborted', () => {
    const { fromClient } = kafkaWire();
    const ends = [kafkaRequest(26, 1, 1, [1]), kafkaRequest(26, 1, 2, [0]), kafkaRequest(26, 3, 3, [1, 0])];

    expect(ends.flatMap((bytes) => fromClient(bytes)).map(({ message }) => message?.commits)).toEqual([
      true,
      false,
      true,
    ]);
  });
});

describe('messages of PostgreSQL', () => {
  it('are found in what a client and the server say', async () => {
    const requests: PostgresRequest[] = [];
    const answers: PostgresAnswer[] = [];
    const url = new URL(serverUrl());
    const serverPort = Number(url.port);
    await using proxy = track(
      await startTcpProxy({
        target: () => serverPort,
        protocol: postgresWire,
        onClientMessage: (message) => void requests.push(message),
        onServerMessage: (message) => void answers.push(message),
      }),
    );
    url.port = String(proxy.port);
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    await client.query('begin');
    await client.query('create temporary table notes (note text, number int)');
    await client.query({ name: 'insert', text: 'insert into notes values ($1, $2)', values: ['kept', 7] });
    await client.query({ name: 'insert', text: 'insert into notes values ($1, $2)', values: [null, 8] });
    await client.query('commit');
    await expect(client.query('select 1 from nowhere')).rejects.toThrow();
    await client.end();

    const text = 'insert into notes values ($1, $2)';
    const said = requests.filter(({ type }) => type !== 'sync' && type !== 'execute');
    expect(said.filter((request) => request.type !== 'query')).toEqual([
      { type: 'startup' },
      { type: 'parse', statement: 'insert', text },
      { type: 'bind', text, parameters: ['kept', '7'] },
      { type: 'bind', text, parameters: [null, '8'] },
      { type: 'terminate' },
    ]);
    expect(requests.filter(({ type }) => type === 'execute')).toHaveLength(2);
    expect(answers.flatMap((answer) => (answer.type === 'complete' ? [answer.tag] : []))).toEqual([
      'BEGIN',
      'CREATE TABLE',
      'INSERT 0 1',
      'INSERT 0 1',
      'COMMIT',
    ]);
    const isIdle = answers.flatMap((answer) => (answer.type === 'ready' ? [answer.isIdle] : []));
    expect(isIdle).toEqual([true, false, false, false, false, true, true]);
    expect(answers.flatMap((answer) => (answer.type === 'error' ? [answer.code] : []))).toEqual(['42P01']);
  });
});
