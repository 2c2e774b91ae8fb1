import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { PacedSocket, Pacer } from '../../src/http/paced-socket.js';
import { waitFor } from '../harness/wait.js';

const REQUEST = 'GET /PATH HTTP/1.1\r\nHost: localhost\r\n\r\n';

describe('a connection with many requests ahead', () => {
  const waiting: { path: string; response: ServerResponse }[] = [];
  let mayAnswer = false;
  let most = 0;
  const server = createServer((request, response) => {
    const { socket } = request;
    assert.ok(socket instanceof PacedSocket);
    socket.asked();
    response.once('close', () => socket.answered());
    waiting.push({ path: request.url ?? '', response });
    most = Math.max(most, waiting.length);
    if (mayAnswer) answerNext();
  });
  const pacer = new Pacer();
  const [serve] = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => serve?.call(server, new PacedSocket(socket, pacer)));
  after(() => server.close());

  function answerNext(): void {
    const next = waiting.shift();
    next?.response.end(next.path);
  }

  async function connected(): Promise<{ socket: Socket; text: () => string }> {
    if (!server.listening) await once(server.listen(0, '127.0.0.1'), 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk;
    });
    await once(socket, 'connect');
    return { socket, text: () => text };
  }

  it('has one that waits for its answer, whatever it has sent, and all are answered in their order', async () => {
    const { socket, text } = await connected();
    const count = 2_000;
    for (let i = 0; i < count; i++) socket.write(REQUEST.replace('PATH', `no${i}.`));
    await waitFor(() => waiting.length > 0, 'the first request');
    assert.equal(waiting[0]?.path, '/no0.');
    mayAnswer = true;
    answerNext();
    await waitFor(() => text().includes(`/no${count - 1}.`), 'the last answer');
    assert.equal(most, 1);
    const paths = [...text().matchAll(/\/no(\d+)\./g)].map(([, number]) => Number(number));
    assert.deepEqual(paths, [...Array(count).keys()]);
    socket.destroy();
  });

  it('is heard when it ends in the middle of a request, and when it comes byte by byte', async () => {
    const cut = await connected();
    cut.socket.end('GET /cut HTTP');
    await once(cut.socket, 'close');
    const slow = await connected();
    for (const byte of REQUEST.replace('PATH', 'slow')) {
      slow.socket.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await waitFor(() => slow.text().endsWith('/slow'), 'the answer');
    slow.socket.end();
    await once(slow.socket, 'close');
  });

  it('is noticed to be gone while its answer goes on, whatever it has sent ahead', async () => {
    mayAnswer = false;
    waiting.length = 0;
    for (const ahead of ['', REQUEST.replace('PATH', 'ahead').repeat(1_000)]) {
      const { socket, text } = await connected();
      socket.write(REQUEST.replace('PATH', 'stream') + ahead);
      await waitFor(() => waiting.length > 0, 'the request');
      const { response } = waiting.splice(0)[0] ?? assert.fail();
      let isGone = false;
      response.on('close', () => {
        isGone = true;
      });
      response.write('first');
      assert.ok(response.socket instanceof PacedSocket);
      response.socket.streams();
      await waitFor(() => text().includes('first'), 'the beginning of its answer');
      assert.equal(isGone, false);
      socket.end();
      await waitFor(() => isGone, 'it is gone', 5_000);
      socket.destroy();
    }
    assert.equal(waiting.length, 0);
  });

  it('lets others in between: connections take turns', async () => {
    const order: string[] = [];
    mayAnswer = false;
    const [a, b] = [await connected(), await connected()];
    for (const [name, { socket }] of [
      ['a', a],
      ['b', b],
    ] as const) {
      socket.write(Array.from({ length: 50 }, (_, i) => REQUEST.replace('PATH', `${name}${i}`)).join(''));
    }
    while (order.length < 100) {
      await waitFor(() => waiting.length === 2 || order.length >= 98, 'a request of each');
      const now = waiting.map(({ path }) => path.slice(1, 2));
      if (order.length < 98) assert.deepEqual([...now].sort(), ['a', 'b']);
      await waitFor(() => waiting.length > 0, 'a request');
      order.push(...now);
      for (const _ of now) answerNext();
    }
    for (const { socket } of [a, b]) socket.destroy();
  });
});
