import { checkPortIsFree } from '../../src/local-group/free-port.js';
import { freePort } from './nats-server.js';

/** The first of so many ports in a row that are free. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await freePort();
    const checks = Array.from({ length: count }, (_, i) => checkPortIsFree(first + i, 'a member'));
    if ((await Promise.allSettled(checks)).every(({ status }) => status === 'fulfilled')) return first;
  }
}
