import { readdirSync, readFileSync } from 'node:fs';

// The unit of utime and stime in /proc, USER_HZ: 100 on every Linux that Node runs on.
const MICROS_PER_TICK = 10_000;

/** CPU time that a process has used so far, user and system, all threads, in microseconds. NaN where there is no /proc. */
export function cpuMicros(pid: number): number {
  return scheduledMicros(pid) ?? statMicros(pid);
}

/** To the nanosecond, from the scheduler, where the kernel keeps that. Threads that have ended are not in it. */
function scheduledMicros(pid: number): number | undefined {
  let nanos = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanos += Number.parseInt(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1'), 10);
    }
  } catch {
    return undefined;
  }
  return nanos / 1_000;
}

/** To the clock tick. */
function statMicros(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === undefined) return Number.NaN;
  // The command in parentheses may hold blanks; utime and stime are the 12th and 13th fields behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROS_PER_TICK;
}

/** Resident memory of a process in bytes. NaN where there is no /proc. */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS');
}

/** The most memory that a process has had, in bytes. NaN where there is no /proc. */
export function peakBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM');
}

function statusBytes(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(read(`/proc/${pid}/status`) ?? '');
  return match === null ? Number.NaN : Number(match[1]) * 1024;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** Bytes that a process has read and written by its own calls so far: files and sockets alike. */
export interface CallBytes {
  read: number;
  written: number;
}

/** NaN where there is no /proc/PID/io. */
export function callBytes(pid: number): CallBytes {
  const text = read(`/proc/${pid}/io`) ?? '';
  const of = (name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  return { read: of('rchar'), written: of('wchar') };
}

/** CPU time that all processes of the machine have used since it started, in microseconds. NaN where there is no /proc. */
export function machineMicros(): number {
  const [, user, nice, system, , , irq, softirq] =
    /^cpu .*/.exec(read('/proc/stat') ?? '')?.[0].split(/ +/) ?? [];
  return [user, nice, system, irq, softirq].reduce((sum, ticks) => sum + Number(ticks), 0) * MICROS_PER_TICK;
}
