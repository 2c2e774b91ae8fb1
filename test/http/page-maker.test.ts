import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { type Page, PageMaker } from '../../src/http/page-maker.js';
import { waitFor } from '../harness/wait.js';

describe('pages that take work', () => {
  let made: string[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  let asked = 0;
  /** Lets the pages that are being made go on. */
  let goOn: () => void = () => {};
  let gate = Promise.resolve();
  const pages = new PageMaker();
  const handle = pages.handler(async ({ target }): Promise<Page> => {
    made.push(target);
    mostAtOnce = Math.max(mostAtOnce, ++atOnce);
    await gate;
    atOnce--;
    if (target === '/fails') throw new Error('it fails');
    const pieces = target === '/long' ? longPieces() : [target];
    return { status: 200, type: 'text/plain', pieces };
  });
  let longPiecesMade = 0;
  function* longPieces(): Generator<string> {
    for (; longPiecesMade < 400; longPiecesMade++) yield 'x'.repeat(64 * 1024);
  }
  const server = createServer((message, response) => {
    asked++;
    const target = message.url ?? '';
    const { searchParams } = new URL(target, 'http://localhost');
    Promise.resolve(handle({ query: searchParams, target, connection: message.socket }, response)).catch(() =>
      response.writeHead(500).end(),
    );
  });

  before(() => once(server.listen(0, '127.0.0.1'), 'listening'));
  after(() => {
    server.close();
    server.closeAllConnections();
  });

  /** Nothing is made until `goOn`. */
  function shut(): void {
    made = [];
    asked = 0;
    gate = new Promise((resolve) => {
      goOn = resolve;
    });
  }

  interface Answer {
    status: number;
    text: string;
    retryAfter: string | undefined;
  }

  async function ask(path: string): Promise<Answer> {
    const { port } = server.address() as AddressInfo;
    const sent = request({ port, host: '127.0.0.1', path, agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, text, retryAfter: response.headers['retry-after'] };
  }

  it('are made once for all who ask for one at the same time', async () => {
    shut();
    const answers = Promise.all(Array.from({ length: 50 }, () => ask('/same')));
    await waitFor(() => asked === 50, 'all requests');
    // All but the first came after its making began: they get one of their own, all together.
    goOn();
    assert.ok((await answers).every(({ status, text }) => status === 200 && text === '/same'));
    assert.ok(made.length <= 2, `made ${made.length} times for 50 requests`);
  });

  it('are made anew for one who asks again: what is shown is never older than the question', async () => {
    shut();
    goOn();
    await ask('/again');
    await ask('/again');
    assert.deepEqual(made, ['/again', '/again']);
  });

  it('are made one at a time', async () => {
    shut();
    const many = Array.from({ length: 5 }, (_, i) => ask(`/one/${i}`));
    await waitFor(() => asked === 5, 'all requests');
    await waitFor(() => made.length > 0, 'the first is being made');
    assert.equal(made.length, 1);
    goOn();
    await Promise.all(many);
    assert.equal(made.length, 5);
    assert.equal(mostAtOnce, 1);
  });

  it('are refused beyond a limit, with when to come again, and the rest is answered', async () => {
    shut();
    const answers: Answer[] = [];
    // A limit of 256 for all, and one for each connection beyond it: only one connection with many requests meets it.
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    let text = '';
    for (let i = 0; i < 400; i++) text += `GET /limit/${i} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    socket.write(text);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
    });
    await waitFor(() => made.length === 1, 'the first is being made');
    const other = ask('/other').then((answer) => answers.push(answer));
    await waitFor(() => asked === 401, 'all requests');
    goOn();
    await other;
    assert.equal(answers[0]?.status, 200);
    const all = (): string[] => received.match(/HTTP\/1\.1 \d\d\d/g) ?? [];
    await waitFor(() => all().length === 400, 'all answers');
    const refused = all().filter((line) => line.endsWith('503')).length;
    assert.ok(refused >= 400 - 257 && refused < 400, `${refused} refused`);
    assert.match(received, /503 Service Unavailable\r\n(?:.+\r\n)*Retry-After: 1\r\n/);
    socket.destroy();
  });

  it('do not wait for one who reads slowly', async () => {
    shut();
    goOn();
    const { port } = server.address() as AddressInfo;
    const sent = request({ port, host: '127.0.0.1', path: '/long', agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.pause();
    assert.equal((await ask('/beside')).text, '/beside');
    // Nor is all of it made for one who does not read.
    assert.ok(longPiecesMade < 400, `${longPiecesMade} pieces of 64 KiB`);
    response.destroy();
  });

  it('that fail end their own request only', async () => {
    shut();
    goOn();
    assert.equal((await ask('/fails')).status, 500);
    assert.equal((await ask('/works')).status, 200);
  });
});
