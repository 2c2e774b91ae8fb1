import type { StoreFile, StoreFs } from '../../src/files/fs.js';
import type { LeaseRenewer, RenewerOptions } from '../../src/lease/lease-renewer.js';
import { allRetired } from './all-retired.js';
import { bound } from './bound.js';
import type { FaultWeights } from './faults.js';
import type { Machine, Mutation } from './machine.js';
import { noSalt } from './no-salt.js';
import { oneJournal } from './one-journal.js';
import { PassedOnFile } from './passed-on-file.js';
import type { SimulationOptions } from './simulation.js';
import { staleLockfile } from './stale-lockfile.js';

type Fence = (real: LeaseRenewer, options: RenewerOptions, node: Machine) => Promise<void>;

/** Changes the fence of every renewer, and leaves the rest. */
function withFence(fence: Fence, onKept: (real: LeaseRenewer, node: Machine) => void = () => {}): Mutation {
  return {
    startRenewer: (startRenewer, node) => (options) => {
      const real = startRenewer(options);
      onKept(real, node);
      return {
        fence: () => fence(real, options, node),
        markServed: () => fence(real, options, node),
        release: () => real.release(),
        stop: () => real.stop(),
        get counter() {
          return real.counter;
        },
        get renewedMs() {
          return real.renewedMs;
        },
        get renewalMs() {
          return real.renewalMs;
        },
      };
    },
  };
}

/** What is synced is told at once. */
const noFence = withFence(async () => {});

/** A lease that has not run out counts as much as a renewal: what brokers with leases do. */
const leaseByClock = withFence(async (real, { clock, leaseMs }) => {
  if (clock.monotonicMs() - real.renewedMs >= leaseMs) await real.fence();
});

/** The renewal runs beside the write, and not after it: it looks like a saving. */
function earlyFence(): Mutation {
  const renewers = new WeakMap<object, LeaseRenewer>();
  /** The renewal that began with the write that ended last. */
  const begun = new WeakMap<object, Promise<void>>();
  const fence: Fence = (real, _, { process }) => begun.get(process) ?? real.fence();
  return {
    ...withFence(fence, (real, { process }) => renewers.set(process, real)),
    fs: (real, { process }) => {
      const onWrite = (): (() => void) => {
        const renewal = renewers.get(process)?.fence();
        renewal?.catch(() => {});
        return () => renewal !== undefined && begun.set(process, renewal);
      };
      const open: StoreFs['open'] = async (path, mode) => {
        const file = await real.open(path, mode);
        return mode === 'durable' ? new WatchedFile(file, onWrite) : file;
      };
      return bound(real, { open });
    },
  };
}

class WatchedFile extends PassedOnFile {
  /** Called when a write begins; what it gives, when that write has ended. */
  readonly #onWrite: () => () => void;

  constructor(file: StoreFile, onWrite: () => () => void) {
    super(file);
    this.#onWrite = onWrite;
  }

  override write(...[buffer, start, end, position, done]: Parameters<StoreFile['write']>): void {
    const onWritten = this.#onWrite();
    super.write(buffer, start, end, position, (error, written) => {
      onWritten();
      done(error, written);
    });
  }
}

/** When the link has moved, what is in flight may be lost: so it is given out again, as if it were new. */
const newAgain: Mutation = {
  broker: (broker) => {
    const linkUp = broker.linkUp.bind(broker);
    broker.linkUp = (link, adopted) => {
      for (const sub of broker.subscriptions.values()) {
        const [oldest] = sub.inFlight.sorted();
        if (sub.group === undefined && oldest !== undefined) sub.lastSent = oldest - 1;
      }
      return linkUp(link, adopted);
    };
  },
};

/** Of several messages that have become visible together, the second goes out before the first. */
const outOfOrder: Mutation = {
  broker: ({ delivery }) => {
    const deliver = delivery.deliver.bind(delivery);
    delivery.deliver = (sub) => {
      const { channel } = sub;
      const { visible } = channel;
      const first = Math.max(sub.lastSent + 1, channel.log.firstSequence);
      if (first < visible) {
        channel.visible = first + 1;
        sub.lastSent = first;
        deliver(sub);
        channel.visible = first;
        sub.lastSent = first - 1;
        deliver(sub);
        channel.visible = visible;
        sub.lastSent = Math.max(sub.lastSent, first + 1);
      }
      deliver(sub);
    };
  },
};

/** A way to do it wrong, and the faults that bring it out: all kinds do, these do it soon. */
export interface Mutant {
  /** Made anew for each run. */
  make(): Mutation;
  faults: Partial<FaultWeights>;
  /** What clients send and receive, if it takes something special. */
  traffic?: SimulationOptions['traffic'];
}

const SLEEP: Partial<FaultWeights> = { pause: 1, freeze: 1 };
const MOVE: Partial<FaultWeights> = { 'nats server stops': 3, 'nats reset': 1 };

/** What the simulation must find. */
export const MUTANTS: Record<string, Mutant> = {
  'no fence': { make: () => noFence, faults: SLEEP },
  'a fence begun before the sync has ended': { make: earlyFence, faults: { freeze: 4, 'data slow': 8 } },
  'no epoch in the names of files': { make: () => ({ fs: oneJournal() }), faults: SLEEP },
  'a lease by the clock instead of the fence': { make: () => leaseByClock, faults: { freeze: 1 } },
  "proper-lockfile's takeover of stale locks": {
    make: () => ({ lease: staleLockfile(), ownsTime: true }),
    faults: SLEEP,
  },
  'what is in flight given out as new when the link has moved': { make: () => newAgain, faults: MOVE },
  'a journal file removed while an extent points into it': { make: () => allRetired, faults: SLEEP },
  // What a former life has left must lie where a batch of the next one ends.
  'a journal file used again without its salt': {
    make: () => noSalt,
    faults: { kill: 3, strike: 3 },
    traffic: 'one size',
  },
  'messages that overtake each other': { make: () => outOfOrder, faults: MOVE },
};
