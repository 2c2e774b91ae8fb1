/**
 * How long opening a store takes, and what it needs at rest, by what is stored.
 *
 *   node --expose-gc --import tsx test/bench/recovery.ts [messages ...] [--channels n] [--keep dir]
 *
 * Fills a store with messages of 128 bytes in one process, opens it in another, and prints what the second one measured.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../../src/clock/clock.js';
import type { RecentGuids } from '../../src/dedup/recent-guids.js';
import { nodeFs } from '../../src/files/fs.js';
import type { FileStore } from '../../src/store/file/file-store.js';
import { openFileStore } from '../../src/store/file/open-file-store.js';
import type { BatchId, MessageRef, SnapshotSink, StoreHost } from '../../src/store/types/store.js';
import { NO_LIMITS, pubMsg } from '../store/support.js';

const BATCH = 200;
const PENDING_BYTES = 4 * 1024 * 1024;

class Host implements StoreHost {
  waiting: { batch: BatchId; resolve: () => void }[] = [];
  readonly #guids: RecentGuids;
  constructor(guids: RecentGuids) {
    this.#guids = guids;
  }
  /** As a broker does it: checkpoints have the recent guids. */
  snapshot(sink: SnapshotSink): void {
    for (const run of this.#guids.runs()) sink.recentGuids(run);
  }
  onFullChanged(): void {}
  onRoom(): void {}
  onFailed(error: Error): void {
    throw error;
  }
  onCommitted(batch: BatchId): void {
    while (this.waiting[0] !== undefined && this.waiting[0].batch <= batch) this.waiting.shift()!.resolve();
  }
  until(batch: BatchId): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ batch, resolve }));
  }
}

function open(dir: string, epoch: number): Promise<FileStore> {
  const warn = (message: string): void => console.error(message);
  return openFileStore({
    fs: nodeFs,
    clock: systemClock,
    random: randomBytes,
    dir,
    clusterId: 'bench',
    epoch,
    warn,
  });
}

async function fill(dir: string, messages: number, channels: number): Promise<void> {
  const store = await open(dir, 1);
  const guids = store.recovered.recentGuids;
  const host = new Host(guids);
  store.attach(host);
  const logs = Array.from({ length: channels }, (_, i) => store.createLog(`bench.${i}`, NO_LIMITS));
  const views = logs.map((log) => pubMsg(log.name, randomBytes(128), 'A'.repeat(22)));
  const started = performance.now();
  const cpu = process.cpuUsage();
  for (let i = 0; i < messages; ) {
    for (let j = 0; j < BATCH && i < messages; j++, i++) {
      const view = views[i % channels]!;
      view.buffer.write(String(i).padStart(10, '0'), view.guidEnd - 10, 'latin1');
      const log = logs[i % channels]!;
      log.append(view, 1);
      if (!guids.has(1, log.id, view.buffer, 0, view.guidEnd))
        guids.add(1, log.id, 0, view.guidEnd, store.timeMs);
    }
    const batch = store.gathering;
    store.commit();
    if (store.pendingBytes > PENDING_BYTES) await host.until(batch);
  }
  const last = store.gathering;
  logs[0]!.append(views[0]!, 1);
  store.commit();
  await host.until(last);
  const elapsedMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpu);
  const usPerMessage = ((user + system) / messages).toFixed(2);
  console.log(
    `filled: ${Math.round(messages / (elapsedMs / 1000))} messages/s, ${usPerMessage} us CPU a message`,
  );
  // No clean end: what was not checkpointed is replayed.
  process.exit(0);
}

async function measure(dir: string): Promise<void> {
  const before = process.memoryUsage.rss();
  const epoch =
    1 + Math.max(...fs.readdirSync(path.join(dir, 'journal')).map((name) => Number.parseInt(name, 10)));
  const started = performance.now();
  const store = await open(dir, epoch);
  const openMs = performance.now() - started;
  const { logs } = store.recovered;
  const messages = logs.reduce((sum, log) => sum + log.messageCount, 0);
  const guidsStarted = performance.now();
  store.recovered.recentGuids.enter();
  const guidsMs = performance.now() - guidsStarted;
  store.attach(new Host(store.recovered.recentGuids));
  await new Promise((resolve) => setTimeout(resolve, 3000));
  global.gc?.();
  const restMib = process.memoryUsage.rss() / 1024 / 1024;
  const log = logs[0]!;
  const ref: MessageRef = { buffer: Buffer.alloc(0), start: 0, end: 0 };
  const count = Math.min(log.messageCount, 1_000_000);
  const readStarted = performance.now();
  for (let sequence = 1; sequence <= count; sequence++) {
    if (!log.find(sequence, ref)) await log.load(sequence);
  }
  const readRate = Math.round(count / ((performance.now() - readStarted) / 1000));
  console.log(
    `opened ${messages} messages: ${openMs.toFixed(1)} ms, at rest ${restMib.toFixed(0)} MiB (started with ${(before / 1024 / 1024).toFixed(0)}), read back ${readRate} messages/s; ${store.recovered.recentGuids.size} recent guids in ${guidsMs.toFixed(1)} ms`,
  );
  await store.close();
  process.exit(0);
}

function child(role: string, dir: string, messages: number, channels: number): void {
  const args = [
    '--expose-gc',
    '--import',
    'tsx',
    import.meta.filename,
    role,
    dir,
    String(messages),
    String(channels),
  ];
  execFileSync(process.execPath, args, { stdio: 'inherit' });
}

const [role, dir, messages, channels] = process.argv.slice(2);
if (role === 'fill') await fill(dir!, Number(messages), Number(channels));
else if (role === 'measure') await measure(dir!);
else {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { channels: { type: 'string', default: '1' }, dir: { type: 'string', default: os.tmpdir() } },
  });
  for (const count of positionals.length > 0 ? positionals.map(Number) : [100_000, 2_000_000]) {
    const store = fs.mkdtempSync(path.join(values.dir, 'stanchion-recovery-'));
    try {
      child('fill', store, count, Number(values.channels));
      child('measure', store, count, Number(values.channels));
      child('measure', store, count, Number(values.channels));
    } finally {
      fs.rmSync(store, { recursive: true, force: true });
    }
  }
}
