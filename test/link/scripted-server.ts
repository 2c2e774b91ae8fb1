import { once } from 'node:events';
import net from 'node:net';
import { within } from '../harness/wait.js';

/** One client of a scripted server. */
export class ScriptedClient {
  received = '';
  private waiting: (() => void) | undefined;

  constructor(readonly socket: net.Socket) {
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
      this.waiting?.();
    });
    socket.on('error', () => {});
    socket.on('close', () => this.waiting?.());
  }

  /** Waits until the client has sent `text` since the last call, and forgets all up to it. */
  async until(text: string): Promise<string> {
    while (!this.received.includes(text)) {
      if (this.socket.destroyed)
        throw new Error(`closed before it sent ${JSON.stringify(text)}: ${this.received}`);
      const changes = new Promise<void>((resolve) => {
        this.waiting = resolve;
      });
      await within(changes, `the client sends ${JSON.stringify(text)}`);
    }
    const end = this.received.indexOf(text) + text.length;
    const upTo = this.received.slice(0, end);
    this.received = this.received.slice(end);
    return upTo;
  }

  say(text: string | Buffer): void {
    this.socket.write(text);
  }
}

export const INFO = { server_id: 'SCRIPTED', version: '2.9.10', headers: true, max_payload: 1_048_576 };

/** A TCP server whose clients are played by hand, for what the real server does only rarely. */
export class ScriptedServer {
  private readonly sockets = new Set<net.Socket>();

  private constructor(
    private readonly server: net.Server,
    readonly port: number,
  ) {}

  static async start(onClient: (client: ScriptedClient) => void): Promise<ScriptedServer> {
    const server = net.createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const scripted = new ScriptedServer(server, (server.address() as net.AddressInfo).port);
    server.on('connection', (socket) => {
      socket.setNoDelay(true);
      scripted.sockets.add(socket);
      onClient(new ScriptedClient(socket));
    });
    return scripted;
  }

  /** A server that lets a client in; what comes then is the test's. */
  static async welcoming(info: object = INFO): Promise<[ScriptedServer, Promise<ScriptedClient>]> {
    let arrived: (client: ScriptedClient) => void;
    const client = new Promise<ScriptedClient>((resolve) => {
      arrived = resolve;
    });
    const server = await ScriptedServer.start((client) => {
      client.say(`INFO ${JSON.stringify(info)}\r\n`);
      void client.until('PING\r\n').then(() => {
        client.say('PONG\r\n');
        arrived(client);
      });
    });
    return [server, client];
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}
