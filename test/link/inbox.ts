import type { LinkTarget } from '../../src/link/dial-link.js';
import { Link } from '../../src/link/link.js';
import type { LinkHandler } from '../../src/link/link-handler.js';
import type { LinkEvents, LinkOptions } from '../../src/link/link-options.js';
import { within } from '../harness/wait.js';

/** Notes what a link hands over, and lets a test wait for it. */
export class Inbox implements LinkHandler, LinkEvents {
  readonly messages: string[] = [];
  readonly sizes: number[] = [];
  readonly serverErrors: string[] = [];
  readonly downReasons: string[] = [];
  batches = 0;
  drains = 0;
  lameDuck = false;
  infos = 0;
  private readonly waiting: { condition: () => boolean; resolve: () => void }[] = [];

  onMessage(
    sid: number,
    buffer: Buffer,
    subjectStart: number,
    subjectEnd: number,
    replyStart: number,
    replyEnd: number,
    payloadStart: number,
    payloadEnd: number,
  ): void {
    const word = (start: number, end: number) => buffer.toString('latin1', start, end);
    this.sizes.push(payloadEnd - payloadStart);
    const payload = word(payloadStart, Math.min(payloadEnd, payloadStart + 50));
    this.messages.push(
      `${sid} ${word(subjectStart, subjectEnd)} ${word(replyStart, replyEnd) || '-'} ${payload}`,
    );
  }

  onBatchEnd(): void {
    this.batches++;
    this.check();
  }

  onDown(reason: string): void {
    this.downReasons.push(reason);
    this.check();
  }

  onDrain(): void {
    this.drains++;
    this.check();
  }

  onInfo(info: { lameDuck: boolean }): void {
    this.infos++;
    this.lameDuck = info.lameDuck;
    this.check();
  }

  onServerError(text: string): void {
    this.serverErrors.push(text);
    this.check();
  }

  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    const holds = new Promise<void>((resolve) => this.waiting.push({ condition, resolve }));
    return within(holds, `${condition}`);
  }

  /** Waits until the link is down. */
  async down(): Promise<string> {
    await this.until(() => this.downReasons.length > 0);
    return this.downReasons[0]!;
  }

  link(target: Partial<LinkTarget> & { port: number }, options?: LinkOptions): Promise<Link> {
    return Link.connect({ host: '127.0.0.1', connectTimeoutMs: 5_000, ...target }, this, this, options);
  }

  private check(): void {
    for (const waiter of this.waiting.splice(0)) {
      if (waiter.condition()) waiter.resolve();
      else this.waiting.push(waiter);
    }
  }
}

/** Publishes one message by itself. */
export function publish(
  link: Pick<Link, 'takeBuffer' | 'send'>,
  subject: string,
  payload: string | Buffer,
): void {
  const bytes = Buffer.from(payload as string);
  const out = link.takeBuffer();
  out.pub(Buffer.from(subject), 0, subject.length, bytes.length);
  out.bytes(bytes, 0, bytes.length);
  out.crlf();
  link.send(out);
}
