import { execFile } from 'node:child_process';
import { mainScript } from '../harness/broker.js';
import { within } from '../harness/wait.js';
import type { Clients } from './clients.js';
import { END, type Ledger, type Shown } from './ledger.js';
import { shownBy } from './subscribers.js';

const READ_MS = 60_000;
const VERIFY_MS = 120_000;
const WINDOW = 4_000;

/** All that is stored, as a new subscriber is shown it. */
export async function readBack(
  clients: Clients,
  ledger: Ledger,
  hub: string,
  channels: readonly string[],
): Promise<Map<string, Shown[]>> {
  const reader = await clients.own('read-back', [hub], READ_MS);
  const stored = new Map<string, Shown[]>();
  for (const channel of channels) {
    await clients.again(`the end of ${channel} is marked`, () => reader.publish(channel, END));
    const messages: Shown[] = [];
    stored.set(channel, messages);
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const subscription = await clients.again(`read-back of ${channel}`, () =>
      reader.subscribe(channel, {
        startAt: 'all',
        maxInFlight: WINDOW,
        callback: (error, message) => {
          if (error !== undefined || message.redelivered) return;
          const shown = shownBy(message);
          ledger.see(channel, shown, 'the read-back');
          messages.push(shown);
          if (shown.data === END) finish();
        },
      }),
    );
    await within(finished, `${channel} is read back`, READ_MS);
    await subscription.close().catch(() => {});
  }
  return stored;
}

/** @returns what is wrong with the files; undefined if nothing */
export async function verifyStore(dir: string): Promise<string | undefined> {
  const args = [...(await mainScript()), 'store', 'verify', '--dir', dir];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: VERIFY_MS }, (error, stdout, stderr) => {
      resolve(error === null ? undefined : (stdout + stderr).slice(-1_000));
    });
  });
}
