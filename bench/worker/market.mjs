/** A provider on loopback in the place of Twelve Data, with 20 ms latency. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';

export async function startMarket(latencyMs) {
  const quote = (symbol) => ({
    ...{ symbol, close: '228.34000', change: '2.47000', percent_change: '1.09355' },
    ...{ high: '229.12000', low: '225.10000' },
  });
  const server = createServer(async (request, response) => {
    await setTimeout(latencyMs);
    const symbols = new URL(request.url, 'http://localhost').searchParams.get('symbol').split(',');
    const body = symbols.length === 1 ? quote(symbols[0]) : Object.fromEntries(symbols.map((s) => [s, quote(s)]));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}
