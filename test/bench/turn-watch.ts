import net from 'node:net';

/** How long a broker's event loop was busy with one thing, since it was last asked. */
export interface Turns {
  /** The longest turn, by the clock and by its thread's CPU time. The latter counts only what the broker does (Linux). */
  longestMs: number;
  longestCpuMs: number;
  /** How late the event loop was: the 99th percentile. */
  p99Ms: number;
}

const RESOLUTION_MS = 10;

/** An argument of `--import` for the broker's process, which then answers at this socket. */
export function turnWatch(socketPath: string): string {
  const code = `
    import fs from 'node:fs';
    import net from 'node:net';
    import { monitorEventLoopDelay } from 'node:perf_hooks';
    const stat = fs.openSync('/proc/thread-self/schedstat');
    const bytes = Buffer.alloc(64);
    const cpuMs = () => Number.parseInt(bytes.toString('latin1', 0, fs.readSync(stat, bytes, 0, 64, 0))) / 1e6;
    const delay = monitorEventLoopDelay({ resolution: ${RESOLUTION_MS} });
    delay.enable();
    let [atMs, atCpuMs, longestMs, longestCpuMs] = [performance.now(), cpuMs(), 0, 0];
    const look = () => {
      const [nowMs, nowCpuMs] = [performance.now(), cpuMs()];
      longestMs = Math.max(longestMs, nowMs - atMs - 1);
      longestCpuMs = Math.max(longestCpuMs, nowCpuMs - atCpuMs);
      [atMs, atCpuMs] = [nowMs, nowCpuMs];
    };
    setInterval(look, 1).unref();
    net.createServer((socket) => {
      look();
      const p99Ms = Math.max(0, delay.percentile(99) / 1e6 - ${RESOLUTION_MS});
      socket.end(JSON.stringify({ longestMs, longestCpuMs, p99Ms }));
      delay.reset();
      longestMs = longestCpuMs = 0;
    }).listen(${JSON.stringify(socketPath)}).unref();`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

export async function takeTurns(socketPath: string): Promise<Turns> {
  let text = '';
  for await (const chunk of net.connect(socketPath)) text += String(chunk);
  return JSON.parse(text) as Turns;
}
