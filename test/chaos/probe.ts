import { setTimeout as sleep } from 'node:timers/promises';
import { createInbox } from 'nats';
import { StanClient } from '../../src/drill/stan-client.js';
import { decodePubAck, encodePubMsg } from '../../src/protocol/messages.js';
import type { Calm } from './calm.js';
import { CLUSTER_ID } from './host.js';
import { type Ledger, payloadOf } from './ledger.js';

export const PROBE_CHANNEL = 'probe';
const RETRY_MS = 100;
const PAUSE_MS = 10;
/** Longer without an ack is an outage. */
const OUTAGE_MS = 400;

/** One message in flight, sent again and again under its guid until it is acknowledged: whether the group serves. */
export class Probe {
  lastAckMs = performance.now();
  /** The longest time without an ack since it was last asked for. */
  #longestMs = 0;
  #isRunning = true;
  #isDone: Promise<void> = Promise.resolve();
  readonly #client: StanClient;
  readonly #ledger: Ledger;
  readonly #calm: Calm;

  private constructor(client: StanClient, ledger: Ledger, calm: Calm) {
    this.#client = client;
    this.#ledger = ledger;
    this.#calm = calm;
  }

  static async start(url: string, ledger: Ledger, calm: Calm): Promise<Probe> {
    const client = await StanClient.connect({
      nats: { servers: url },
      clusterId: CLUSTER_ID,
      clientId: 'probe',
    });
    const probe = new Probe(client, ledger, calm);
    probe.#isDone = probe.#run();
    return probe;
  }

  takeLongestMs(): number {
    const longestMs = Math.max(this.#longestMs, performance.now() - this.lastAckMs);
    this.#longestMs = 0;
    return Math.round(longestMs);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#isDone;
  }

  /** NATS goes with it. */
  end(): Promise<void> {
    return this.#client.nats.close();
  }

  async #run(): Promise<void> {
    const { nats, clientId, connId, publishPrefix } = this.#client;
    const inbox = createInbox();
    let guid = '';
    let wake = (): void => {};
    nats.subscribe(inbox, {
      callback: (error, { data }) => {
        if (error !== null || data.length === 0) return;
        const ack = decodePubAck(data);
        if (ack.guid === guid && ack.error === '') wake();
      },
    });
    for (let i = 0; this.#isRunning; i++) {
      const id = `probe-${i}`;
      guid = id;
      let isAcked = false;
      const acked = new Promise<void>((resolve) => {
        wake = () => {
          isAcked = true;
          resolve();
        };
      });
      const data = Buffer.from(payloadOf(id));
      const bytes = encodePubMsg({ clientId, connId, guid, subject: PROBE_CHANNEL, data });
      const sent = this.#ledger.send(id, PROBE_CHANNEL);
      while (!isAcked && this.#isRunning) {
        nats.publish(`${publishPrefix}.${PROBE_CHANNEL}`, bytes, { reply: inbox });
        await Promise.race([acked, sleep(RETRY_MS)]);
        if (performance.now() - this.lastAckMs > OUTAGE_MS) this.#calm.disturb();
      }
      if (!isAcked) return;
      this.#ledger.ack(sent);
      const nowMs = performance.now();
      this.#longestMs = Math.max(this.#longestMs, nowMs - this.lastAckMs);
      this.lastAckMs = nowMs;
      await sleep(PAUSE_MS);
    }
  }
}
