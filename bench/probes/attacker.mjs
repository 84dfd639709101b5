/** Keeps 200 connections open to a port, each of which says nothing, or drips, and comes back a second after it is cut. */
import { connect } from 'node:net';

const [port, how] = process.argv.slice(2);
let isEnding = false;
let cuts = 0;

function open() {
  if (isEnding) return;
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.on('connect', () => {
    if (how === 'drip') socket.write('GET /healthz HTTP/1.1\r\nX: ');
  });
  const drip = setInterval(() => how === 'drip' && socket.write('x'), 200);
  socket.once('close', () => {
    clearInterval(drip);
    cuts += 1;
    setTimeout(open, 1000);
  });
}

for (let connection = 0; connection < 200; connection += 1) open();
process.on('message', () => {
  isEnding = true;
  process.send({ cuts }, () => process.exit());
});
